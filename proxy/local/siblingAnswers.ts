/** What this worker answers another one that was asked by a client. */
import type { WorkerAnswer } from '#protocol/frames/worker.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { SiblingQuestion } from '#proxy/siblings/siblings.ts'
import { killChosen, listChosen } from './clientChoice.ts'
import { figuresOf } from './workerFigures.ts'

export function answerSibling(
  host: SessionHost,
  question: SiblingQuestion,
): WorkerAnswer<SiblingQuestion['what']> {
  switch (question.what) {
    case 'clients':
      return { clients: listChosen(host, question.choice) }
    case 'kill':
      return { killed: killChosen(host, question.choice, null) }
    case 'figures':
      return { figures: figuresOf(host) }
    case 'resetStats':
      host.counters.reset()
      return {}
  }
}
