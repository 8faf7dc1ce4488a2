/** Names in a node's data directory that others look for, too. */
export const lockFileName = 'agent.pid'
export const agentSocketName = 'agent.sock'
/** Pid files of the node's processes. */
export const pidDirectoryName = 'run'
