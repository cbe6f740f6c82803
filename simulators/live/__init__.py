"""``wardbeat bench live``: a whole monitor under load, from the device's message to the viewer's frame.

Outside the monitor, which runs as its users run it: the bench knows it by its command, MQTT and the websocket.
"""
