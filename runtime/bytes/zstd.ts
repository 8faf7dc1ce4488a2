/**
 * Blocks of bytes made smaller and back, each by itself (zstd, RFC 8878). What is to be read may come from anybody: no more
 * memory is taken for it than `sizeBytes`, whatever it says of itself.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { FormatError } from './byteReader.ts'

/** Larger windows are neither used nor accepted: a reader sets aside as much memory as the writer's window. */
const windowBits = 18
/** Larger blocks would lie outside of the window in part. */
export const zstdBlockBytesMax = 2 ** windowBits

export function zstdCompress(bytes: Uint8Array, level: number): Uint8Array {
  return zstdCompressSync(bytes, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: windowBits,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
    pledgedSrcSize: bytes.length,
    chunkSize: chunkBytes(bytes.length),
  })
}

/** What [start, end) of `bytes` was made of. Throws `FormatError` unless that is exactly `sizeBytes` long. */
export function zstdDecompress(bytes: Uint8Array, start: number, end: number, sizeBytes: number): Uint8Array {
  const block = decompressed(bytes.subarray(start, end), sizeBytes)
  if (block.length !== sizeBytes)
    throw new FormatError(`${block.length} bytes instead of ${sizeBytes} were compressed`)
  return block
}

function decompressed(packed: Uint8Array, sizeBytes: number): Uint8Array {
  try {
    return zstdDecompressSync(packed, {
      maxOutputLength: Math.max(1, sizeBytes),
      chunkSize: chunkBytes(sizeBytes),
      params: { [constants.ZSTD_d_windowLogMax]: windowBits },
    })
  } catch (error) {
    throw new FormatError(`compressed bytes that can't be read: ${(error as Error).message}`)
  }
}

/** What comes out fits one chunk, or nearly; zlib wants 64 bytes at least. */
const chunkBytes = (sizeBytes: number): number => Math.min(zstdBlockBytesMax, Math.max(64, sizeBytes))
