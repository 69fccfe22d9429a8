/**
 * For each family of faults one rule of the product, and the small change that takes it away: `npm run test:broken` makes the change, has the
 * fault strike, and wants the suite to notice (docs/testing.md, "What the fault suite notices"). A family more is an entry more.
 *
 * `family` and `fault` are those of the suite, `fault` as `STEP: WHAT`; `books` are MariaDB unless told. `find` stands exactly once in `file`.
 * `broken` is the change in words, `sees` what the looks after the fault must say of it.
 */
export const BROKEN = [
  {
    family: 'orchestrator',
    fault: 'exit code unread: killed (-9), another one comes',
    broken: 'who adopts a run does not ask for its job, but starts one of another id',
    file: 'src/engine/runner.ts',
    find: 'jobId: run.jobId ?? jobOf(run),',
    replace: 'jobId: `${jobOf(run)}-${lease.epoch}`,',
    sees: /^on the NAS and not booked: /,
  },
  {
    family: 'database',
    fault: 'recording: the server is killed (-9) and started again',
    broken: 'a backup is recorded in statements of their own, not in one transaction',
    file: 'src/engine/recorder.ts',
    find: `return this.work.run(async () => {
      await this.leases.hold(lease);
      const uuid = randomUUID();`,
    replace: `return Promise.resolve().then(async () => {
      await this.leases.hold(lease);
      const uuid = randomUUID();`,
    sees: /^booked twice: /,
  },
  {
    family: 'connection',
    fault: 'decided: no answer comes back once the order to start has gone out, nor to any other call for a while',
    broken: 'a lost answer counts as "not executed"',
    file: 'src/engine/job-driver.ts',
    find: 'host\\.(unreachable|busy|',
    replace: 'host\\.(unreachable|outcome-unknown|timeout|busy|',
    sees: /^on the NAS and not booked: /,
  },
  {
    family: 'host',
    fault: 'copying: goes down in the middle of a run and comes back; its job directory survives',
    broken: 'what a lost job has begun on the NAS is not discarded',
    file: 'src/engine/runner.ts',
    find: 'const discarded = await this.#remove(drive, plan, access, buildDiscard(mount, plan.backupPath, jobId));',
    replace: 'const discarded = true;',
    sees: /^on the NAS and not booked: /,
  },
  {
    family: 'guest',
    fault: 'copying: suspended by its user in the middle, and resumed by its user',
    broken: 'the watch over a job resumes a paused guest, whoever has paused it',
    file: 'agent/src/52-watch.sh',
    find: `    poll_guest || :
    watch_nas`,
    replace: `    poll_guest || :
    [[ $VM_STATE != paused ]] || virsh_q resume "$OPT_VM" || :
    watch_nas`,
    sees: /^the suspended guest is running/,
  },
  {
    family: 'disk',
    fault:
      'decided: a disk is replaced by a namesake of other bytes, its bitmap too, between the look and the start of the script',
    broken: 'a delta that its witnesses contradict is booked all the same',
    file: 'src/domain/chain/settle-backup.ts',
    find: "if (verdict.assurance === 'broken' && facts !== null) {",
    replace: "if (verdict.assurance === 'broken' && facts === null) {",
    sees: / is not what the disks held at /,
  },
  {
    family: 'another tool',
    fault: 'decided: makes a checkpoint of its own, which stays as it is',
    broken: 'a checkpoint of ours is deleted with its children, whosever they are',
    file: 'agent/src/38-checkpoints.sh',
    find: 'if has_checkpoint "$1" && ! virsh_q checkpoint-delete "$OPT_VM" "$1"; then',
    replace: 'if has_checkpoint "$1" && ! virsh_q checkpoint-delete "$OPT_VM" "$1" --children; then',
    sees: /^the other tool's bitmap on vd[ab] is not what it was/,
  },
  {
    family: 'NAS',
    fault: 'decided: has the directory of the backup already: somebody makes it between the decision and the script',
    broken: 'a directory that is there already is taken for ours',
    file: 'agent/src/50-backup.sh',
    find: 'if ! nas mkdir -m 0711 -- "$DEST"; then',
    replace: 'if ! nas mkdir -p -m 0711 -- "$DEST"; then',
    sees: / was changed$/,
  },
  {
    family: 'script',
    fault: 'copying: killed (-9) with all that belongs to it',
    broken: 'who looks after a killed job leaves its mounts to somebody else',
    file: 'agent/src/72-abort.sh',
    find: '  ! job_text tmp || { JOB_TMP=$REPLY && job_sweep_mounts; }\n',
    replace: '',
    sees: /^left behind: mount/,
  },
  {
    family: 'output',
    fault: 'copying: stdout is cut within the facts',
    broken: 'what the script has finished and the books refuse stays on the NAS when its facts cannot be read',
    file: 'src/engine/runner.ts',
    find: "(job.exit === 0 || (parsed.facts !== null && parsed.facts.done.mode !== 'none'))",
    replace: "parsed.facts !== null && parsed.facts.done.mode !== 'none'",
    sees: /^on the NAS and not booked: /,
  },
  {
    family: 'in a restore',
    fault: 'decided: in-place: one byte in a link under it is flipped, and there are checksums',
    broken: 'a file that is not what it was when it was hashed is a warning',
    file: 'agent/src/59-restore-chain.sh',
    find: '  damaged "${1##*/} of ${folder#"$MNT/"} is not what it was when it was hashed: somebody or something changed it" checksum-mismatch',
    replace: '  warn "${1##*/} of ${folder#"$MNT/"} is not what it was when it was hashed: somebody or something changed it"',
    sees: / is not what vda held at /,
  },
  {
    family: 'in a pull',
    fault: 'copying: the script is killed (-9), its runner and its readers live',
    broken: 'who looks after a killed pull leaves its scratch files to somebody else',
    file: 'agent/src/72-abort.sh',
    find: 'job_free_guest && job_drop_scratch;',
    replace: 'job_free_guest;',
    sees: /^left behind: /,
  },
  {
    family: 'in a rescue',
    fault: 'decided: the parent’s file was altered where nobody has written since: the comparison finds it',
    broken: 'the delta of a lost bitmap is laid onto its parent without a comparison',
    file: 'agent/src/53-pull.sh',
    find: 'qemu-img rebase -p "${limit[@]}"',
    replace: 'qemu-img rebase -u -p "${limit[@]}"',
    sees: /what was altered is in the backup/,
  },
  {
    family: 'where a restore goes',
    fault: 'before the second swap: in-place: the script is killed (-9) with all that belongs to it',
    broken: 'the first of two disks that were swapped is not put back',
    file: 'agent/src/59-restore-place.sh',
    find: 'swapped) is_idle "$1" && run "$NAS_SECONDS" mv -fT -- "$1.before-$OPT_JOB" "$1" &&',
    replace: 'swapped) is_idle "$1" && run "$NAS_SECONDS" rm -f -- "$1.before-$OPT_JOB" &&',
    sees: / is not what vd[ab] held at /,
  },
  {
    family: 'in a deletion',
    fault: 'before removal: leaf: the service is killed (-9), another one comes',
    broken: 'a row goes before its files do',
    file: 'src/engine/deleter.ts',
    find: 'const files = isThere && path !== null',
    replace: 'if (isThere) await this.backups.remove(row.id);\n      const files = isThere && path !== null',
    sees: /^on the NAS and not booked: /,
  },
  {
    family: 'in retention',
    fault: 'between two links: a plan is applied: the service is killed (-9), another one comes',
    broken: 'who takes over a run that lets go takes what it finds for done',
    file: 'src/engine/deleter.ts',
    find: 'await this.#removeAll(deletion, plan);',
    replace: 'if (run.plan === null) await this.#removeAll(deletion, plan);',
    sees: /^to be deleted, and in the books: /,
  },
  {
    family: 'in a sweep',
    fault: 'before it unmounts: after a killed call: the script is killed (-9)',
    broken: 'the note of a killed call goes before what it tells of',
    file: 'agent/src/77-sweep.sh',
    find: "    kept=''\n    # The last one first",
    replace: '    kept=\'\' && rm -rf -- "$dir"\n    # The last one first',
    sees: /^(left behind: mount|not swept)/,
  },
];
