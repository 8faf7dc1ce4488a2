/** Real programs that tests talk to, and the Debian packages that bring them. */
import { spawnSync } from 'node:child_process'

const works = (command: string, args: string[]): boolean => spawnSync(command, args).status === 0

/** Debian's own Python: the one for which `python3-redis` installs. */
export const pythonPath = '/usr/bin/python3'

const programs: { package: string; present: () => boolean }[] = [
  { package: 'redis-server', present: () => works('redis-server', ['--version']) },
  { package: 'redis-tools', present: () => works('redis-cli', ['--version']) },
  { package: 'python3-redis', present: () => works(pythonPath, ['-c', 'import redis']) },
  { package: 'chrony', present: () => works('chronyd', ['--version']) },
]

/** The packages to install before the tests can run. */
export const missingPackages = (): string[] =>
  programs.filter((program) => !program.present()).map((program) => program.package)
