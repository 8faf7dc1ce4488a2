import type { Logger } from '#runtime/ports.ts'

export interface LogLine {
  level: keyof Logger
  facts: Readonly<Record<string, unknown>>
  message: string
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** For tests of what is said. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = []

  debug(facts: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push({ level: 'debug', facts, message })
  }

  info(facts: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push({ level: 'info', facts, message })
  }

  warn(facts: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push({ level: 'warn', facts, message })
  }

  error(facts: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push({ level: 'error', facts, message })
  }
}
