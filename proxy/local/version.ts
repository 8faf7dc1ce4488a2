/** The version of Redis whose commands and replies these are. Clients decide by it what they may use. */
export const compatibleVersion = '7.2.0'
export const antipodeVersion = '0.1.0'
