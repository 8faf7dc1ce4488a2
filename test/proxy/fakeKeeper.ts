/** The agent of a node, as far as proxies ask it about what it keeps: users and libraries. */
import { changedLibraries, type LibraryList, noLibraries } from '#config/libraries.ts'
import type { KeeperQuestion } from '#config/process.ts'
import { changedUsers, noUsers, type UserList, type UsersAnswer } from '#config/users.ts'

export interface KeptByAgent {
  users: UserList
  libraries: LibraryList
}

export class FakeKeeper {
  list: UserList = noUsers
  libraries: LibraryList = noLibraries
  /** Null: there is none. */
  file: string | null = null
  fileWrites = 0
  /** Answers nothing, and what is asked is lost. */
  isAway = false
  /** Makes every change fail. */
  diskError: string | null = null
  readonly #post: (run: () => void) => void
  readonly #tell: (kept: KeptByAgent) => void

  constructor(post: (run: () => void) => void, tell: (kept: KeptByAgent) => void) {
    this.#post = post
    this.#tell = tell
  }

  get kept(): KeptByAgent {
    return { users: this.list, libraries: this.libraries }
  }

  ask(question: KeeperQuestion, answered: (answer: unknown) => void): void {
    this.#post(() => answered(this.isAway ? null : this.#answer(question)))
  }

  /** Another worker, of which the one under test has not heard, changes something. */
  overtake(): void {
    this.list = { ...this.list, version: this.list.version + 1 }
  }

  #answer(question: KeeperQuestion): UsersAnswer {
    switch (question.what) {
      case 'change': {
        if (this.diskError !== null) return { error: this.diskError }
        const list = changedUsers(this.list, question.change)
        if (list !== null) this.list = list
        this.#tell(this.kept)
        return { done: list !== null, version: this.list.version }
      }
      case 'changeLibraries': {
        if (this.diskError !== null) return { error: this.diskError }
        const libraries = changedLibraries(this.libraries, question.change)
        if (libraries !== null) this.libraries = libraries
        this.#tell(this.kept)
        return { done: libraries !== null, version: this.libraries.version }
      }
      case 'writeFile':
        this.fileWrites++
        if (this.diskError !== null) return { error: this.diskError }
        this.file = question.text
        return { text: '' }
      case 'readFile':
        return this.file === null ? { error: 'No such file or directory' } : { text: this.file }
    }
  }
}

/** Not random at all. */
export const countedDigits = (count: number): string => '0123456789abcdef'.repeat(256).slice(0, count)
