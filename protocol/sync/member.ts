/** `joining`: it gets the data and takes no writes yet. `removing`: it takes no writes any more, or is being forced out. */
export type MemberState = 'joining' | 'active' | 'removing' | 'removed'
