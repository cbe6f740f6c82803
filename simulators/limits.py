"""What the figures of a scenario may be; their types in the descriptions of rhythms, hearts and disturbances."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Seconds = Annotated[float, Field(gt=0.0, le=86_400.0)]
Rate = Annotated[float, Field(gt=0.0, le=400.0)]  # per minute
RateOrNone = Annotated[float, Field(ge=0.0, le=400.0)]  # 0: none
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Millivolts = Annotated[float, Field(gt=0.0, le=20.0)]
Level = Annotated[float, Field(ge=-20.0, le=20.0)]  # mV of either sign
Milliseconds = Annotated[float, Field(gt=0.0, le=400.0)]
Frequency = Annotated[float, Field(gt=0.0, le=200.0)]  # Hz
