/**
 * `node bin/run.mjs SCRIPT ARGUMENT...`: installs what is missing, then runs the script with the project's own Node. This file
 * itself runs on any Node from 20 on, for it is what a fresh clone starts with.
 *
 * One command rather than two joined by `&&`: a shell remembers where it found `node` and would miss the one that was just
 * installed, and a shell in between doesn't pass signals on.
 */
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const node = join(root, 'node_modules', 'node', 'bin', 'node')

const changedMs = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

/** npm writes the file in `node_modules` when it is done. */
const isInstalled = () =>
  changedMs(node) > 0 &&
  changedMs(join(root, 'node_modules', '.package-lock.json')) >= changedMs(join(root, 'package-lock.json'))

/** Runs a program in the foreground, signals included; resolves to its exit code. */
function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' })
  const forwards = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => [signal, () => child.kill(signal)])
  for (const [signal, forward] of forwards) process.on(signal, forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      for (const [signal, forward] of forwards) process.off(signal, forward)
      resolve(code ?? 1)
    })
  })
}

if (!isInstalled()) {
  console.log('Installing what is missing: a minute or two, and only this time.')
  const code = await run('npm', ['install', '--no-audit', '--no-fund', '--no-save', '--loglevel=error'])
  if (code !== 0) {
    console.error('`npm install` did not succeed; its messages above say why.')
    process.exit(code)
  }
}
process.exit(await run(node, process.argv.slice(2)))
