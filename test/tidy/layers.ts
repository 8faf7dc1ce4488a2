/**
 * Who may import whom: the table of ARCHITECTURE.md, compared with the project references that make a breach a compile
 * error. A new reference means a new line here, and a reason in the change that brings it.
 */
interface Layer {
  readonly sees: readonly string[]
  /** May use Node: its `types` are `node` instead of none. */
  readonly node?: true
}

const protocol = ['protocol/resp', 'protocol/commands', 'protocol/slots', 'protocol/frames', 'protocol/sync']
const relayed = ['protocol/frames', 'protocol/sync', 'protocol/slots']
const ports = ['runtime', 'runtime/bytes']
const world = [...ports, 'runtime/node']

/** `proxy/main` is the one file proxy/main.ts, with its own tsconfig.main.json. */
export const layers: { readonly [name: string]: Layer } = {
  runtime: { sees: [] },
  'runtime/bytes': { sees: [], node: true },
  'runtime/node': { sees: ports, node: true },
  'protocol/resp': { sees: ports },
  'protocol/commands': { sees: [...ports, 'protocol/resp'] },
  'protocol/acl': { sees: ['runtime/bytes', 'protocol/resp', 'protocol/commands'] },
  'protocol/slots': { sees: ['runtime/bytes'] },
  'protocol/rdb': { sees: ['runtime/bytes', 'protocol/sync'] },
  'protocol/pubsub': { sees: ports },
  'protocol/frames': { sees: [...ports, 'protocol/pubsub'] },
  'protocol/sync': { sees: [...ports, 'protocol/pubsub'] },
  config: { sees: ['runtime'] },
  'server/crdt': { sees: [...ports, 'protocol/sync'] },
  'server/store': { sees: [...ports, ...protocol, 'protocol/pubsub', 'server/crdt'] },
  'server/commands': {
    sees: [...ports, ...protocol, 'protocol/rdb', 'protocol/pubsub', 'server/crdt', 'server/store'],
  },
  'server/scripts': {
    sees: [...ports, 'protocol/resp', 'protocol/commands', 'protocol/frames', 'server/commands'],
  },
  'server/log': { sees: [...ports, 'protocol/sync', 'protocol/slots', 'server/store'] },
  'server/sync': {
    sees: [...ports, 'protocol/pubsub', 'protocol/sync', 'protocol/slots', 'server/store', 'server/log'],
  },
  server: {
    sees: [
      ...ports,
      ...protocol,
      'protocol/acl',
      'protocol/pubsub',
      'server/crdt',
      'server/store',
      'server/commands',
      'server/scripts',
      'server/log',
      'server/sync',
    ],
  },
  'server/main': {
    sees: [...world, ...protocol, 'server', 'server/store', 'server/log', 'config'],
    node: true,
  },
  proxy: { sees: [...ports, ...protocol, 'protocol/acl', 'protocol/rdb', 'protocol/pubsub', 'config'] },
  'proxy/main': { sees: [...world, ...protocol, 'proxy', 'config'], node: true },
  syncer: { sees: [...ports, ...relayed, 'config'] },
  'syncer/main': { sees: [...world, ...relayed, 'syncer', 'config'], node: true },
  control: { sees: [...world, ...protocol, 'config'], node: true },
  bench: { sees: [...world, ...protocol, 'control', 'config'], node: true },
  test: {
    sees: [
      ...world,
      ...protocol,
      'protocol/acl',
      'protocol/rdb',
      'protocol/pubsub',
      'config',
      'server',
      'server/crdt',
      'server/store',
      'server/commands',
      'server/scripts',
      'server/log',
      'server/sync',
      'server/main',
      'proxy',
      'proxy/main',
      'syncer',
      'syncer/main',
      'control',
      'bench',
    ],
    node: true,
  },
}

interface Config {
  readonly compilerOptions?: { readonly types?: readonly string[] }
  readonly references?: readonly { readonly path: string }[]
}

/** What differs between the table and the tsconfig files; `read` gives the text of one. */
export function layerFaults(paths: readonly string[], read: (path: string) => string): string[] {
  const found = new Set(paths.filter((path) => path !== 'tsconfig.json').map(layerOf))
  const faults: string[] = []
  const built = referencesOf('tsconfig.json', read)
  for (const name of Object.keys(layers)) {
    if (!found.has(name)) faults.push(`${name} has no tsconfig`)
    if (!built.has(name)) faults.push(`${name} is not built`)
  }
  for (const path of paths) if (path !== 'tsconfig.json') faults.push(...faultsOf(path, read))
  return faults
}

function faultsOf(path: string, read: (path: string) => string): string[] {
  const name = layerOf(path)
  const layer = layers[name]
  if (layer === undefined) return [`${name} is not in the table`]
  const faults: string[] = []
  const sees = referencesOf(path, read)
  for (const seen of sees) {
    if (!layer.sees.includes(seen)) faults.push(`${name} refers to ${seen}, which it may not see`)
  }
  for (const seen of layer.sees) if (!sees.has(seen)) faults.push(`${name} no longer refers to ${seen}`)
  const types = (JSON.parse(read(path)) as Config).compilerOptions?.types ?? []
  const allowed = layer.node ? 'node' : ''
  if (types.join() !== allowed) faults.push(`${name} has the types "${types.join()}"`)
  return faults
}

function referencesOf(path: string, read: (path: string) => string): Set<string> {
  const config = JSON.parse(read(path)) as Config
  const folder = path.split('/').slice(0, -1)
  return new Set((config.references ?? []).map((reference) => layerOf(resolve(folder, reference.path))))
}

function resolve(folder: readonly string[], reference: string): string {
  const parts = [...folder]
  for (const part of reference.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

/** `proxy/tsconfig.main.json` is `proxy/main`, `proxy/tsconfig.json` and `proxy` are `proxy`. */
function layerOf(path: string): string {
  return path.replace(/\/tsconfig\.json$/, '').replace(/\/tsconfig\.main\.json$/, '/main')
}
