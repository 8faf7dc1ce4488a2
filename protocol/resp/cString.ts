/** What Redis sees of a client's bytes where it takes them for a C string: those up to the first NUL. */
export function cString(text: string): string {
  const nul = text.indexOf('\0')
  return nul < 0 ? text : text.slice(0, nul)
}
