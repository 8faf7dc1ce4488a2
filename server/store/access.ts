/**
 * What is remembered of the accesses to a key: 24 bits, as in Redis, whose meaning depends on the eviction policy.
 *
 *     by time         second of the last access, modulo 2^24: 194 days
 *     by frequency    minute of the last access, modulo 2^16 | counter, 8 bits
 *
 * The counter is logarithmic (Morris 1978): the higher it is, the rarer an access raises it, so that 255 stands for about a
 * million of them; each minute without an access takes one off. After a change of the policy the bits are read the new
 * way and mean little until the keys have been used again.
 */

const secondsPeriod = 2 ** 24
const minutesPeriod = 2 ** 16
const countersPeriod = 2 ** 8
/** An access that seems to lie so shortly in the future has just happened: the clock was set back a little. */
const clockStepSecondsMax = 3600

/** What a new key starts with, so that it has time to be used before it is the least used one. */
const frequencyOfNew = 5
const frequencyMax = countersPeriod - 1
/** Redis's `lfu-log-factor` and `lfu-decay-time`. */
const frequencyLogFactor = 10
const frequencyDecayMinutes = 1

const secondOf = (nowMs: number): number => Math.floor(nowMs / 1000) % secondsPeriod
const minuteOf = (nowMs: number): number => Math.floor(nowMs / 60_000) % minutesPeriod

function elapsed(from: number, to: number, period: number, stepMax: number): number {
  const passed = (to - from + period) % period
  return passed >= period - stepMax ? 0 : passed
}

/** Whole seconds since an access that was recorded by time. */
export const idleSeconds = (access: number, nowMs: number): number =>
  elapsed(access, secondOf(nowMs), secondsPeriod, clockStepSecondsMax)

/** The counter as it has decayed by now, of an access recorded by frequency. */
export function frequency(access: number, nowMs: number): number {
  const minute = Math.floor(access / countersPeriod)
  const passed = elapsed(minute, minuteOf(nowMs), minutesPeriod, clockStepSecondsMax / 60)
  return Math.max(0, (access % countersPeriod) - Math.floor(passed / frequencyDecayMinutes))
}

/** The counter after one more access; `draw` is random, in [0, 1). */
export function raisedFrequency(counter: number, draw: number): number {
  if (counter >= frequencyMax) return frequencyMax
  const steps = Math.max(0, counter - frequencyOfNew)
  return draw < 1 / (steps * frequencyLogFactor + 1) ? counter + 1 : counter
}

/** Keeps the time of the running step, and so knows what to write down for an access. */
export class AccessClock {
  /** Whether accesses are recorded by frequency, as the LFU policies need; else by time. */
  byFrequency = false
  #nowMs = 0
  /** Of an access by time: the same for all in a step. */
  #second = 0
  #noise = 0x2545f491

  setNow(nowMs: number): void {
    this.#nowMs = nowMs
    this.#second = secondOf(nowMs)
  }

  /** Of a key that wasn't there. */
  fresh(): number {
    return this.byFrequency ? this.#withMinute(frequencyOfNew) : this.#second
  }

  /** Of a key that has this one. */
  touched(access: number): number {
    if (!this.byFrequency) return this.#second
    return this.#withMinute(raisedFrequency(frequency(access, this.#nowMs), this.#draw()))
  }

  /** As if the last access lay so long back; undefined while accesses are recorded by frequency. */
  ofIdleSeconds(seconds: number): number | undefined {
    if (this.byFrequency) return undefined
    const back = Math.min(seconds, secondsPeriod - clockStepSecondsMax - 1)
    return (this.#second - back + secondsPeriod) % secondsPeriod
  }

  /** As if the key was used so often; undefined while accesses are recorded by time. */
  ofFrequency(counter: number): number | undefined {
    return this.byFrequency ? this.#withMinute(counter) : undefined
  }

  idleSeconds(access: number): number {
    return idleSeconds(access, this.#nowMs)
  }

  frequency(access: number): number {
    return frequency(access, this.#nowMs)
  }

  #withMinute(counter: number): number {
    return minuteOf(this.#nowMs) * countersPeriod + counter
  }

  /** Xorshift: chance enough to thin out the counting, and a run of commands gives the same counters again. */
  #draw(): number {
    this.#noise ^= this.#noise << 13
    this.#noise ^= this.#noise >>> 17
    this.#noise ^= this.#noise << 5
    return (this.#noise >>> 0) / 2 ** 32
  }
}
