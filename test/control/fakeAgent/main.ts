/** An agent as `antipode agent` runs it, but for its processes, which are small. */
import { join } from 'node:path'
import { runAgent } from '#control/agent/runAgent.ts'

const [, , configPath = '', ...more] = process.argv
const fake = [process.execPath, join(import.meta.dirname, '..', 'fakeProcess', 'main.ts')]

try {
  await runAgent({
    configPath,
    reimport: more.includes('--reimport'),
    version: 'test',
    machine: {
      cores: Number(process.env['FAKE_CORES'] ?? 2),
      sharesPorts: process.env['FAKE_SHARES_PORTS'] !== 'no',
    },
    programs: { shard: fake, proxy: fake, syncer: fake },
    startClock: () => () => ({
      state: { state: 'ok', offsetMs: 0, source: '', degradedMs: 100, gateMs: 1_000 },
      peerOffset: (peer, offsetMs) => console.log(JSON.stringify({ peer, offsetMs })),
      reconfigure() {},
      stop() {},
    }),
  })
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
