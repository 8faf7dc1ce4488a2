/**
 * `npm start`: installs what is missing, then runs `antipode lab up`. Runs on any Node from 20 on; everything behind it
 * runs on the Node that the installation brings.
 */
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const changedMs = (...path) => statSync(join(root, ...path), { throwIfNoEntry: false })?.mtimeMs ?? 0

/** npm writes the file in `node_modules` when it is done. */
const isInstalled = () =>
  changedMs('node_modules', '.package-lock.json') >= changedMs('package-lock.json') &&
  changedMs('node_modules', 'node', 'bin', 'node') > 0

/** Runs a program in the foreground, signals included; resolves to its exit code. */
function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' })
  const forwards = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [signal, () => child.kill(signal)])
  for (const [signal, forward] of forwards) process.on(signal, forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      for (const [name, forward] of forwards) process.off(name, forward)
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1))
    })
  })
}

if (!isInstalled()) {
  console.log('Installing what is missing: a minute or less, and only this time.')
  const code = await run('npm', ['install', '--no-audit', '--no-fund', '--no-save', '--loglevel=error'])
  if (code !== 0) {
    console.error('npm install did not succeed; its messages above say why.')
    process.exit(code)
  }
}
process.exit(await run(join(root, 'bin', 'antipode'), ['lab', 'up', ...process.argv.slice(2)]))
