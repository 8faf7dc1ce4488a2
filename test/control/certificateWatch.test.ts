import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { load } from '#config/load.ts'
import type { NodeSettings } from '#config/schema.ts'
import { CertificateWatch } from '#control/agent/certificateWatch.ts'
import { Authority } from '#test/certificates.ts'
import { RecordingLogger } from '#test/silentLogger.ts'

const dayMs = 24 * 3600 * 1000

let directory: string
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-watch-'))
})
afterEach(() => fs.rmSync(directory, { recursive: true }))

function watching(tls: Partial<NodeSettings['tls']>) {
  const { settings } = load({ node: { cluster: 'here', data_dir: 'data' } })
  if (settings === null) throw new Error('the settings are wrong')
  const logger = new RecordingLogger()
  const timers: { delayMs: number; run: () => void; isCancelled: boolean }[] = []
  let nowMs = Date.now()
  const watch = new CertificateWatch(() => ({ ...settings.tls, ...tls }), {
    logger,
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    timers: {
      after(delayMs, run) {
        const timer = { delayMs, run, isCancelled: false }
        timers.push(timer)
        return () => {
          timer.isCancelled = true
        }
      },
      atTurnEnd: (run) => run(),
    },
  })
  /** What is told at the next look. */
  const nextDay = () => {
    logger.lines.length = 0
    const timer = timers.at(-1)
    nowMs += timer?.delayMs ?? 0
    timer?.run()
    return logger.lines.map(({ level, message, facts }) => [
      level,
      message,
      facts['subject'],
      facts['daysLeft'],
    ])
  }
  return { watch, logger, nextDay, timers }
}

test('certificates are told of from thirty days before they expire on, each day', async () => {
  const authority = await Authority.make(path.join(directory, 'a'), 100)
  const { certificatePath } = await authority.issue({ subject: 'CN=database,O=Example', days: 31.5 })
  const { watch, logger, nextDay } = watching({
    serverCertificate: certificatePath,
    clientAuthority: authority.path,
  })
  watch.look()
  expect(logger.lines).toEqual([])
  expect(nextDay()).toEqual([])
  for (let daysLeft = 29; daysLeft >= 0; daysLeft--)
    expect(nextDay()).toEqual([['warn', 'a certificate expires soon', 'CN=database, O=Example', daysLeft]])
  expect(nextDay()).toEqual([['error', 'a certificate has expired', 'CN=database, O=Example', undefined]])
})

test('all certificates of a file are looked at, and one that is two settings is told of once', async () => {
  const one = await Authority.make(path.join(directory, 'one'), 3)
  const two = await Authority.make(path.join(directory, 'two'), 5)
  const both = path.join(directory, 'both.crt')
  fs.writeFileSync(both, fs.readFileSync(one.path, 'latin1') + fs.readFileSync(two.path, 'latin1'))
  const { watch, logger } = watching({ authority: both, clientAuthority: both })
  watch.look()
  expect(logger.lines.map(({ facts }) => facts['subject'])).toEqual([
    'CN=Authority of one',
    'CN=Authority of two',
  ])
})

test('a file that is none is told of, and looking goes on until it is stopped', () => {
  const { watch, nextDay, timers } = watching({ certificate: path.join(directory, 'none') })
  watch.look()
  expect(nextDay()).toEqual([['error', 'a certificate can not be read', undefined, undefined]])
  expect(timers.at(-1)?.delayMs).toBe(dayMs)
  watch.stop()
  expect(timers.at(-1)?.isCancelled).toBe(true)
})
