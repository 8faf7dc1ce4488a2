import { it } from 'vitest'
import { sessionRequests } from '#test/compat/sessionRequests.ts'
import { Vocabulary } from '#test/compat/vocabulary.ts'
import { DatabaseSide } from '#test/compat/databaseSide.ts'
import { RealRedis } from '#test/realRedis.ts'
import { SocketSide } from '#test/compat/side.ts'
import { decodeReply, show } from '#test/compat/reply.ts'
it('x', async () => {
  const server = await RealRedis.start(['--databases', '1'])
  const redis = await SocketSide.connect({ path: server.socketPath })
  const own = new DatabaseSide(3, 1)
  const v = new Vocabulary(1, Date.now())
  const seen = new Set<string>()
  const lines: string[] = []
  for (let i = 0; i < 4000; i++) {
    const request = v.pick(Object.values(sessionRequests))(v) as string[]
    const [a] = await own.send([request])
    const [b] = await redis.send([request])
    const x = show(decodeReply(a!)), y = show(decodeReply(b!))
    if (x !== y) { const line = JSON.stringify(request).slice(0,200) + '\n   own   ' + x.slice(0,300) + '\n   redis ' + y.slice(0,300); if (!seen.has(line)) lines.push(line); seen.add(line) }
  }
  console.log(lines.join('\n'))
  redis.close(); await server.stop()
})
