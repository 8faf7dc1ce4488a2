/** Units that settings are given in multiples of. */

/** In bytes. */
export const kibibyte = 1024
export const mebibyte = 1024 * kibibyte
export const gibibyte = 1024 * mebibyte

/** In milliseconds. */
export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute
