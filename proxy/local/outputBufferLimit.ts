/**
 * `client-output-buffer-limit` as Redis writes it: for each class of clients the bytes that end one at once, those that end one
 * after a while, and the seconds of that while. Limits of replicas are taken and mean nothing: here replicas are no clients.
 */

import type { ClientLimits } from '#config/process.ts'
import { gibibyte, kibibyte } from '#config/units.ts'
import { parseMemory } from './memoryValue.ts'

/** What the limits of a class are called here; null: there are none. */
const classes = {
  normal: { hard: 'outputBytesMax', soft: 'outputSoftBytes', softMs: 'outputSoftMs' },
  slave: null,
  pubsub: {
    hard: 'subscriberOutputBytesMax',
    soft: 'subscriberOutputSoftBytes',
    softMs: 'subscriberOutputSoftMs',
  },
} as const

const classNames: ReadonlyMap<string, keyof typeof classes> = new Map([
  ['normal', 'normal'],
  ['slave', 'slave'],
  ['replica', 'slave'],
  ['pubsub', 'pubsub'],
])

/** No limit at all is not to be had: it is the most there may be. */
const hardBytesMax = 8 * gibibyte
const hardBytesMin = 64 * kibibyte
const softSecondsMax = 3600

export const outputBufferLimits = (limits: ClientLimits): string =>
  Object.entries(classes)
    .map(([name, names]) =>
      names === null
        ? `${name} 0 0 0`
        : `${name} ${limits[names.hard]} ${limits[names.soft]} ${Math.round(limits[names.softMs] / 1000)}`,
    )
    .join(' ')

/** What a text says, or what is wrong with it. */
function read(text: string): Partial<ClientLimits> | string {
  const words = text.split(' ').filter((word) => word !== '')
  if (words.length % 4 !== 0) return 'Wrong number of arguments in buffer limit configuration.'
  const limits: Partial<ClientLimits> = {}
  for (let i = 0; i < words.length; i += 4) {
    const [name = '', ...amounts] = words.slice(i, i + 4)
    const known = classNames.get(name.toLowerCase())
    if (known === undefined) return 'Invalid client class specified in buffer limit configuration.'
    const [hard, soft] = amounts.slice(0, 2).map(parseMemory)
    const seconds = /^[0-9]{1,10}$/.test(amounts[2] ?? '') ? Number(amounts[2]) : null
    if (hard === null || hard === undefined || soft === null || soft === undefined || seconds === null)
      return 'Error in hard, soft or soft_seconds setting in buffer limit configuration.'
    const names = classes[known]
    if (names === null) continue
    if (hard !== 0 && (hard < hardBytesMin || hard > hardBytesMax))
      return `a hard limit must be 0 or between ${hardBytesMin} and ${hardBytesMax} inclusive`
    if (soft > hardBytesMax || seconds > softSecondsMax)
      return `soft limits must be at most ${hardBytesMax} bytes for ${softSecondsMax} seconds`
    limits[names.hard] = hard === 0 ? hardBytesMax : hard
    limits[names.soft] = soft
    limits[names.softMs] = seconds * 1000
  }
  return limits
}

export function checkOutputBufferLimits(text: string): string | null {
  const limits = read(text)
  return typeof limits === 'string' ? limits : null
}

/** Of a text that has been found right. */
export function parseOutputBufferLimits(text: string): Partial<ClientLimits> {
  const limits = read(text)
  return typeof limits === 'string' ? {} : limits
}
