/** What is told of the machine that was measured on: figures without it say nothing. */
export interface Machine {
  cpu: string
  cores: number
  memoryBytes: number
  kernel: string
  node: string
  redis: string
  nutcracker: string
  /** Of this project, short; with `+` when files differ from it. */
  commit: string
}

export function machineText(machine: Machine): string {
  const { cpu, cores, memoryBytes, kernel, node, redis, nutcracker } = machine
  const memory = `${Math.round(memoryBytes / 1024 ** 3)} GiB`
  return `${cpu}, ${cores} cores, ${memory}, Linux ${kernel}, Node ${node}, redis-server ${redis}, nutcracker ${nutcracker}, commit ${machine.commit}`
}
