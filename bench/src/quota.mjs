// @ts-check
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const groups = '/sys/fs/cgroup/cpu';

/** Whether this process may limit others: as root, with control groups of version 1. */
export const canLimit = existsSync(join(groups, 'cpu.cfs_quota_us')) && process.getuid?.() === 0;

/**
 * Limits a process to a share of a core, so that a machine with few cores can tell whether processes wait for each other.
 *
 * @param {number | undefined} pid
 * @param {number} share
 * @returns A function that removes the limit after the process has ended.
 */
export function limitCpu(pid, share) {
  const group = join(groups, `passage-bench-${pid}`);
  const period = 20_000;
  mkdirSync(group);
  writeFileSync(join(group, 'cpu.cfs_period_us'), String(period));
  writeFileSync(join(group, 'cpu.cfs_quota_us'), String(period * share));
  writeFileSync(join(group, 'cgroup.procs'), String(pid));
  return () => rmdirSync(group);
}
