# ---- conventions of the parts ---------------------------------------------------------------------
#
# Functions answer in REPLY or in named globals, not on stdout: a $(…) would keep TERM waiting.
#   die TEXT [CODE]        ends the operation; on_exit takes back, prints and exits (25-cleanup)
#   warn TEXT              to stderr
#   undo_push CMD…         taken back when the operation fails      always_push CMD…  at every end
#   left TEXT              something stays behind
#   run SECONDS CMD…       RUN_OUT, RUN_ERR, code (124 past the deadline); TERM is answered meanwhile (05-run)
#   virsh_q ARG…           the same for virsh                       qmp JSON          the same for QEMU, answer in QMP
#   json_read ARR TEXT, json_get ARR PATH, json_object, json_array, json_string (15-json)
#   vm_lock NAME, fence_check NAME EPOCH (70-jobs): one operation on a machine at a time
#   bitmap_drop NAME       removes one of our checkpoints and bitmaps, running or stopped (36-checkpoints)
#   progress DONE TOTAL    for the job directory (40-facts), into PROGRESS_FILE when 70-jobs has set it
# Descriptors 8 (job) and 9 (machine) hold the locks; children do not inherit them.
