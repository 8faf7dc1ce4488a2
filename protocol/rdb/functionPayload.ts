/** What FUNCTION DUMP gives and RESTORE takes: the code of each library behind an opcode, sealed as values are. */
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import { RdbReader } from './rdbReader.ts'
import { writeText } from './rdbStringWriter.ts'
import { rdbVersion, sealed } from './rdbWriter.ts'

const functionOpcode = 245
/** Version and checksum. */
const sealBytes = 10

export function writeFunctions(codes: readonly string[]): Uint8Array {
  const writer = new ByteWriter()
  for (const code of codes) {
    writer.u8(functionOpcode)
    writeText(writer, code)
  }
  return sealed(writer, rdbVersion)
}

/** Of a payload that is sound (`isSoundPayload`); an error text when it does not hold libraries. */
export function readFunctions(payload: Uint8Array): string[] | string {
  const reader = new RdbReader(payload, 0, payload.length - sealBytes)
  const codes: string[] = []
  try {
    while (reader.at < reader.end) {
      if (reader.u8() !== functionOpcode) return 'ERR given type is not a function'
      codes.push(reader.string())
    }
  } catch (error) {
    if (error instanceof FormatError) return 'ERR failed loading the given functions payload'
    throw error
  }
  return codes
}
