/** What every disk does, real or simulated. Crashes are not in here: only a simulated disk can lose what was not synced. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import { type Disk, DiskError } from '#runtime/ports.ts'

export interface DiskUnderTest {
  disk: Disk
  /** The same files seen by another process, as after an orderly end. */
  reopen(): Disk
  /** Lets time pass until `promise` is fulfilled. */
  until<T>(promise: Promise<T>): Promise<T>
  end(): void
}

const synced = (disk: Disk, name: string): Promise<DiskError | null> =>
  new Promise((resolve) => disk.sync(name, resolve))

export function diskSuite(name: string, make: () => DiskUnderTest): void {
  describe(`a disk: ${name}`, () => {
    let under: DiskUnderTest
    let disk: Disk
    beforeEach(() => {
      under = make()
      disk = under.disk
    })
    afterEach(() => under.end())

    const content = (file: string, of = disk) => latin1(of.read(file, 0, 1_000_000))

    test('is empty at first', () => {
      expect(disk.list()).toEqual([])
    })

    test('appends parts in order and lists files sorted', () => {
      disk.append('b.log', [bytesOf('one'), bytesOf(''), bytesOf('two')])
      disk.append('a.log', [bytesOf('x')])
      disk.append('b.log', [bytesOf('three')])
      expect(disk.list()).toEqual(['a.log', 'b.log'])
      expect(content('b.log')).toBe('onetwothree')
      expect(disk.sizeBytes('b.log')).toBe(11)
    })

    test('appending nothing creates the file', () => {
      disk.append('empty.log', [])
      expect(disk.list()).toEqual(['empty.log'])
      expect(disk.sizeBytes('empty.log')).toBe(0)
    })

    test('the appended bytes may change afterwards', () => {
      const bytes = bytesOf('before')
      disk.append('a', [bytes])
      bytes.fill(0)
      expect(content('a')).toBe('before')
    })

    test('reads ranges, shorter at the end', () => {
      disk.append('a', [bytesOf('0123456789')])
      expect(latin1(disk.read('a', 2, 3))).toBe('234')
      expect(latin1(disk.read('a', 8, 10))).toBe('89')
      expect(disk.read('a', 10, 10)).toHaveLength(0)
      expect(disk.read('a', 99, 10)).toHaveLength(0)
    })

    test('truncates, and appends behind the new end', () => {
      disk.append('a', [bytesOf('0123456789')])
      disk.truncate('a', 4)
      disk.append('a', [bytesOf('x')])
      expect(content('a')).toBe('0123x')
    })

    test('removes, and starts anew under the same name', () => {
      disk.append('a', [bytesOf('old')])
      disk.remove('a')
      expect(disk.list()).toEqual([])
      disk.append('a', [bytesOf('new')])
      expect(content('a')).toBe('new')
    })

    test('replaces whole, also a file that is being appended to', () => {
      disk.replace('a', bytesOf('first'))
      disk.append('a', [bytesOf('+')])
      disk.replace('a', bytesOf('2nd'))
      disk.append('a', [bytesOf('!')])
      expect(content('a')).toBe('2nd!')
      expect(disk.list()).toEqual(['a'])
    })

    test('sync calls back later, once, without an error', async () => {
      disk.append('a', [bytesOf('x')])
      let calls = 0
      const done = new Promise<DiskError | null>((resolve) => {
        disk.sync('a', (error) => {
          calls++
          resolve(error)
        })
      })
      expect(calls).toBe(0)
      expect(await under.until(done)).toBeNull()
      expect(calls).toBe(1)
    })

    test('several syncs at once, with appends and removal among them', async () => {
      disk.append('a', [bytesOf('x')])
      disk.append('b', [bytesOf('y')])
      const all = Promise.all([synced(disk, 'a'), synced(disk, 'b'), synced(disk, 'a')])
      disk.append('a', [bytesOf('x')])
      disk.remove('b')
      for (let i = 0; i < 20; i++) disk.append(`other-${i}`, [bytesOf('z')])
      const results = await under.until(all)
      expect(results[0]).toBeNull()
      expect(results[2]).toBeNull()
      expect(content('a')).toBe('xx')
    })

    test('what was written is there for the next process', async () => {
      disk.append('a', [bytesOf('kept')])
      disk.replace('b', bytesOf('too'))
      expect(await under.until(synced(disk, 'a'))).toBeNull()
      const next = under.reopen()
      expect(next.list()).toEqual(['a', 'b'])
      expect(content('a', next)).toBe('kept')
      next.append('a', [bytesOf(' on')])
      expect(content('a', next)).toBe('kept on')
    })

    test('a missing file is a DiskError with the code ENOENT', () => {
      for (const act of [
        () => disk.read('none', 0, 1),
        () => disk.sizeBytes('none'),
        () => disk.truncate('none', 0),
        () => disk.remove('none'),
      ]) {
        let thrown: unknown = null
        try {
          act()
        } catch (error) {
          thrown = error
        }
        expect(thrown).toBeInstanceOf(DiskError)
        expect((thrown as DiskError).code).toBe('ENOENT')
      }
    })
  })
}
