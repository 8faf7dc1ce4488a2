/** Keys of whatever type; see the `key*.ts` files for TTLs, copies and scans. */

import type { keyCommands } from '#protocol/commands/key.ts'
import { writePayload } from '#protocol/rdb/rdbWriter.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Handler, Handlers } from './context.ts'
import { COPY, RENAME, RENAMENX } from './keyCopy.ts'
import { deleteKey } from './keyEvents.ts'
import {
  EXPIRE,
  EXPIREAT,
  EXPIRETIME,
  PERSIST,
  PEXPIRE,
  PEXPIREAT,
  PEXPIRETIME,
  PTTL,
  TTL,
} from './keyExpiry.ts'
import { KEYS, RANDOMKEY, SCAN } from './keyScan.ts'
import { takeValue } from './keyValue.ts'
import { RESTORE } from './restore.ts'
import { SORT, SORT_RO } from './sort.ts'

const DEL: Handler = (context) => {
  const { args, reply } = context
  let deleted = 0
  for (let i = 1; i < args.count; i++) if (deleteKey(context, args.text(i))) deleted++
  reply.integer(deleted)
}

/** A key that is named twice counts twice. */
const EXISTS: Handler = ({ args, db, reply }) => {
  let found = 0
  for (let i = 1; i < args.count; i++) if (db.type(args.text(i)) !== 'none') found++
  reply.integer(found)
}

const TOUCH: Handler = ({ args, db, reply }) => {
  let touched = 0
  for (let i = 1; i < args.count; i++) if (db.touch(args.text(i))) touched++
  reply.integer(touched)
}

const TYPE: Handler = ({ args, db, reply }) => reply.simple(db.type(args.text(1)))

const DUMP: Handler = ({ args, db, reply }) => {
  const key = args.text(1)
  if (db.type(key) === 'none') reply.null()
  else reply.bulkBytes(writePayload(takeValue(db, key)))
}

const OBJECT_ENCODING: Handler = ({ args, db, reply }) => {
  const encoding = db.encoding(args.text(2))
  if (encoding === undefined) reply.null()
  else reply.bulk(encoding)
}

/** There is either the time of the last access or a frequency, as the eviction policy needs it. */
const OBJECT_IDLETIME: Handler = ({ args, db, reply }) => {
  const seconds = db.idleSeconds(args.text(2))
  if (seconds === undefined) reply.null()
  else if (db.accessClock.byFrequency) throw new ReplyError(errors.noIdleTime)
  else reply.integer(seconds)
}

/** Values aren't shared here. */
const OBJECT_REFCOUNT: Handler = ({ args, db, reply }) => {
  if (db.type(args.text(2)) === 'none') reply.null()
  else reply.integer(1)
}

const OBJECT_FREQ: Handler = ({ args, db, reply }) => {
  const frequency = db.frequency(args.text(2))
  if (frequency === undefined) reply.null()
  else if (!db.accessClock.byFrequency) throw new ReplyError(errors.noFrequency)
  else reply.integer(frequency)
}

export const keyHandlers = {
  COPY,
  DEL,
  DUMP,
  EXISTS,
  EXPIRE,
  EXPIREAT,
  EXPIRETIME,
  KEYS,
  'OBJECT|ENCODING': OBJECT_ENCODING,
  'OBJECT|FREQ': OBJECT_FREQ,
  'OBJECT|IDLETIME': OBJECT_IDLETIME,
  'OBJECT|REFCOUNT': OBJECT_REFCOUNT,
  PERSIST,
  PEXPIRE,
  PEXPIREAT,
  PEXPIRETIME,
  PTTL,
  RANDOMKEY,
  RENAME,
  RENAMENX,
  RESTORE,
  SCAN,
  SORT,
  SORT_RO,
  TOUCH,
  TTL,
  TYPE,
  UNLINK: DEL,
} satisfies Handlers<typeof keyCommands>
