/** What this worker answers another one that was asked by a client. */
import type { WorkerAnswer } from '#protocol/frames/worker.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { SiblingQuestion } from '#proxy/siblings/siblings.ts'
import { killChosen, listChosen } from './clientChoice.ts'
import { figuresOf, latencyOf } from './workerFigures.ts'

export function answerSibling(
  host: SessionHost,
  question: SiblingQuestion,
): WorkerAnswer<SiblingQuestion['what']> {
  const { observation } = host
  switch (question.what) {
    case 'clients':
      return { clients: listChosen(host, question.choice) }
    case 'kill':
      return { killed: killChosen(host, question.choice, null) }
    case 'invalidate': {
      const client = host.clients.get(question.client)
      for (const invalidation of question.invalidations) client?.takeInvalidation(invalidation, true)
      return { found: client !== undefined }
    }
    case 'figures':
      return { figures: figuresOf(host, question.histograms === true) }
    case 'resetStats':
      host.counters.reset()
      return {}
    case 'aclLog':
      return { entries: host.aclLog.entries }
    case 'resetAclLog':
      host.aclLog.reset()
      return {}
    case 'slowlog':
      return { entries: observation.slowlog.entries }
    case 'resetSlowlog':
      observation.slowlog.reset()
      return {}
    case 'latency':
      return latencyOf(host)
    case 'resetLatency':
      return { reset: observation.latency.reset(question.events) }
    case 'monitored':
      observation.monitors.take(question.lines)
      return {}
  }
}
