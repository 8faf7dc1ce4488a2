import { pino } from 'pino'
import type { Logger } from '#runtime/ports.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** By which an agent tells its processes their level. */
export const logLevelVariable = 'ANTIPODE_LOG_LEVEL'

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

const levelOfEnvironment = (): LogLevel =>
  levels.find((level) => level === process.env[logLevelVariable]) ?? 'info'

/**
 * JSON lines, each with `facts`, on standard output or appended to a file. Written at once: the last line before a crash
 * is the one that is needed, and nothing on the hot path logs.
 */
export function nodeLogger(
  facts: Readonly<Record<string, unknown>>,
  level: LogLevel = levelOfEnvironment(),
  destination: number | string = 1,
): Logger {
  return pino(
    {
      level,
      base: { ...facts, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      errorKey: 'error',
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: destination, sync: true }),
  )
}
