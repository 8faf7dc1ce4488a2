/** A database as a file has it. */
import type { DatabaseSettings } from '#config/schema.ts'

export const inFile: DatabaseSettings = {
  name: 'db1',
  port: 12_000,
  shards: 2,
  sharding: true,
  persistence: 'everysec',
  memorySize: 0,
  evictionPolicy: 'noeviction',
  evictionSamples: 5,
  password: null,
  guid: null,
  crdtXaddIdUniquenessMode: 'strict',
  notifyKeyspaceEvents: '',
  causalConsistency: false,
  syncCompression: 3,
  tlsMode: 'disabled',
  tlsClientCertificates: 'disabled',
  tlsAuthorizedSubjects: [],
  joins: false,
  members: [],
}
