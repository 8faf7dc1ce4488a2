/** A stamp as people read it: `2026-11-22T12:31:18.123Z/17/2`, the time in UTC, the counter within the millisecond, the cluster. */
import { clusterOfOrigin, originOf, originsMax, type Stamp, stampAt, stampWallMs } from './stamp.ts'

const dayMs = 86_400_000
const two = (value: number): string => String(value).padStart(2, '0')

export function stampText(stamp: Stamp): string {
  const wallMs = stampWallMs(stamp)
  const origin = originOf(stamp)
  const counter = (stamp - stampAt(wallMs, origin)) / originsMax
  return `${timeText(wallMs)}/${counter}/${clusterOfOrigin(origin)}`
}

/** The calendar of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": years that begin in March. */
export function timeText(wallMs: number): string {
  const days = Math.floor(wallMs / dayMs) + 719_468
  const era = Math.floor(days / 146_097)
  const dayOfEra = days - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const month = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * month + 2) / 5) + 1
  const year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
  const ms = wallMs - Math.floor(wallMs / dayMs) * dayMs
  const [hours, minutes, seconds] = [3_600_000, 60_000, 1000].map((unit) => Math.floor(ms / unit))
  const time = [hours ?? 0, (minutes ?? 0) % 60, (seconds ?? 0) % 60].map(two).join(':')
  return `${year}-${two(month < 10 ? month + 3 : month - 9)}-${two(day)}T${time}.${String(ms % 1000).padStart(3, '0')}Z`
}
