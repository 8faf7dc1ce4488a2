/** The machine that this runs on. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import type { Machine } from './machineText.ts'

export function thisMachine(): Machine {
  const [first] = cpus()
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    redis: versionOf('redis-server', ['--version'], /v=([\d.]+)/),
    nutcracker: versionOf('nutcracker', ['--version'], /nutcracker-([\d.]+)/),
    commit: commit(),
  }
}

/** Programs tell their version on either output. */
function versionOf(program: string, args: string[], pattern: RegExp): string {
  const text = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', program, ...args], { encoding: 'utf8' })
  return pattern.exec(text)?.[1] ?? 'unknown'
}

function commit(): string {
  const options: ExecFileSyncOptionsWithStringEncoding = {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }
  try {
    const isChanged = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], options) !== ''
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).trim() + (isChanged ? '+' : '')
  } catch {
    return 'unknown'
  }
}
