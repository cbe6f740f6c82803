/**
 * Alarm sounds: a burst of pulses for each priority, made by WebAudio.
 *
 * Modelled on the bursts of IEC 60601-1-8:2006, tables 3 and 4 (reprinted in NXP's application note AN10875, 2009):
 *
 *     pulse frequency           150-1000 Hz, with at least 4 harmonics between 300 and 4000 Hz, within 15 dB of it
 *     pulse duration            high 75-200 ms; medium and low 125-250 ms
 *     rise time                 10-40 % of the duration; the fall ends before the next pulse
 *     pulses in a burst         high 10, as 3 + 2 and once more; medium 3; low 1 or 2
 *     spacing of pulses         high 50-125 ms, called x; medium and low 125-250 ms
 *     spacing within high       3rd to 4th and 8th to 9th: 2 x + a pulse; 5th to 6th: 0.35-1.30 s
 *     from burst to burst       high 2.5-15 s; medium 2.5-30 s; low more than 15 s, or never
 *
 * A spacing is from the end of one pulse to the start of the next. What is chosen lies inside; nothing is claimed.
 */

/**
 * @typedef {object} Burst
 * @property {number} frequency  Hz
 * @property {number} duration   of a pulse, s
 * @property {number[]} spaces   between the pulses, one fewer than there are, s
 * @property {number} interval   from the end of a burst to the start of the next, s
 * @property {number} peak       amplitude, 0 to 1
 */

const HIGH = { duration: 0.12, space: 0.09, pause: 0.6 };
const HIGH_LONG = 2 * HIGH.space + HIGH.duration;
const HIGH_HALF = [HIGH.space, HIGH.space, HIGH_LONG, HIGH.space];

/** @type {Readonly<Record<"high"|"medium"|"low", Burst>>} */
export const BURSTS = Object.freeze({
  high: {
    frequency: 660,
    duration: HIGH.duration,
    spaces: [...HIGH_HALF, HIGH.pause, ...HIGH_HALF],
    interval: 3,
    peak: 0.6,
  },
  medium: { frequency: 495, duration: 0.18, spaces: [0.19, 0.19], interval: 7.5, peak: 0.5 },
  low: { frequency: 370, duration: 0.18, spaces: [0.19], interval: 25, peak: 0.35 },
});

/** What is heard once the browser allows sound, and when somebody asks for it. */
export const TEST_TONE = { frequency: 440, duration: 0.25, peak: 0.3 };
/** The beep of an R wave: short and of one pitch, so that nobody takes it for an alarm. */
export const BEEP = { frequency: 880, duration: 0.06, peak: 0.2 };

/** Amplitudes of a tone and its harmonics: the faintest lies 12 dB below the first. */
const PARTIALS = [1, 0.5, 0.4, 0.32, 0.25];
const RISE = 0.2;
const FALL = 0.3;

/** How long a burst sounds, s. @param {Burst} burst */
export function lengthOf(burst) {
  return burst.spaces.reduce((sum, space) => sum + space, 0) + burst.duration * (burst.spaces.length + 1);
}

/** Where the pulses of a burst begin, s. @param {Burst} burst */
export function onsetsOf(burst) {
  const onsets = [0];
  for (const space of burst.spaces) onsets.push(onsets[onsets.length - 1] + burst.duration + space);
  return onsets;
}

/**
 * Sound a burst.
 * @param {BaseAudioContext} context
 * @param {AudioNode} output
 * @param {Burst} burst
 * @param {number} when  of the context's clock, s
 * @returns {() => void}  silences what is left of it
 */
export function playBurst(context, output, burst, when) {
  return play(context, output, burst.frequency, burst.peak, burst.duration, onsetsOf(burst).map((at) => when + at));
}

/**
 * Sound one tone. @param {BaseAudioContext} context @param {AudioNode} output
 * @param {{frequency: number, duration: number, peak: number}} tone @param {number} when  s
 */
export function playTone(context, output, tone, when) {
  play(context, output, tone.frequency, tone.peak, tone.duration, [when]);
}

/**
 * @param {BaseAudioContext} context @param {AudioNode} output @param {number} frequency @param {number} peak
 * @param {number} duration  of a pulse, s
 * @param {number[]} onsets  s
 * @returns {() => void}
 */
function play(context, output, frequency, peak, duration, onsets) {
  const tone = context.createOscillator();
  const envelope = context.createGain();
  const none = new Float32Array(PARTIALS.length + 1);
  tone.setPeriodicWave(context.createPeriodicWave(none, Float32Array.of(0, ...PARTIALS)));
  tone.frequency.value = frequency;
  envelope.gain.setValueAtTime(0, onsets[0]);
  for (const onset of onsets) {
    envelope.gain.setValueAtTime(0, onset);
    envelope.gain.linearRampToValueAtTime(peak, onset + RISE * duration);
    envelope.gain.setValueAtTime(peak, onset + (1 - FALL) * duration);
    envelope.gain.linearRampToValueAtTime(0, onset + duration);
  }
  tone.connect(envelope).connect(output);
  tone.start(onsets[0]);
  tone.stop(onsets[onsets.length - 1] + duration);
  tone.onended = () => envelope.disconnect();
  return () => {
    tone.stop();
    envelope.disconnect();
  };
}
