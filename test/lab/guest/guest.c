/*
 * A guest that writes all the time and says what it was promised. Its writes are numbered, and number n decides where and what is
 * written: so a disk after n writes can be recomputed, byte for byte, by whoever has the log.
 *
 *   as the first process of a guest (the lab's kernel and nothing else): loads what the disk needs, writes to /dev/vda for ever,
 *       one write at a time, past its cache and synchronously, and prints a line of each on the serial line, in columns:
 *         w NUMBER TOOK_MS ENDED_MS RTC ERRNO        ended by the guest's own clock, which stands still when the guest is paused;
 *                                                    RTC: the seconds of the day by the clock of the board, which goes on
 *       With agent= on the kernel's command line it is a guest agent, too, that freezes and thaws: a write meanwhile waits, and says so.
 *   guest last FILE          the highest number in that raw image
 *   guest replay FILE N      writes 1..N into that raw image
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* A quarter of a cluster: what a backup copies around a write is more than the write. */
enum { BLOCK = 16384, WORDS = BLOCK / 8, STRIDE = 1543 };

static const uint64_t MARK = 0x9e3779b97f4a7c15;
static uint64_t block[WORDS] __attribute__((aligned(4096)));

static void fill(uint64_t number) {
  for (uint64_t word = 0; word < WORDS; word++) block[word] = (number + 1) * MARK + word;
  block[0] = MARK;
  block[1] = number;
}

/* Neighbours in time are far apart on the disk; the stride is a prime, so every place has its turn. */
static off_t place(uint64_t number, off_t size) { return (off_t)(number * STRIDE % (uint64_t)(size / BLOCK)) * BLOCK; }

static off_t size_of(int disk) { return lseek(disk, 0, SEEK_END); }

static int write_number(int disk, off_t size, uint64_t number) {
  fill(number);
  errno = 0;
  if (pwrite(disk, block, BLOCK, place(number, size)) == BLOCK) return 0;
  return errno ? errno : EIO;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int rtc(int reg) {
  outb(reg, 0x70);
  int bcd = inb(0x71);
  return (bcd >> 4) * 10 + (bcd & 15);
}

/* While it counts on, what it says is half old: it is asked until it has said the same twice. */
static int rtc_seconds(void) {
  int before, seconds = -1;
  do {
    before = seconds;
    seconds = rtc(4) * 3600 + rtc(2) * 60 + rtc(0);
  } while (seconds != before);
  return seconds;
}

static void load(const char *module) {
  char path[64];
  snprintf(path, sizeof path, "/modules/%s.ko", module);
  int file = open(path, O_RDONLY);
  if (file < 0) return; /* built in */
  if (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST) printf("%s: %s\n", path, strerror(errno));
  close(file);
}

static long setting(const char *name, long otherwise) {
  const char *value = getenv(name);
  return value ? atol(value) : otherwise;
}

/* What a write needs, and a freeze holds: one byte in a pipe. */
static int leave[2];
static void take(void) { while (read(leave[0], &(char){0}, 1) != 1) {} }
static void give(void) { while (write(leave[1], "", 1) != 1) {} }

/*
 * The agent at its port, for ever: `works`; `mute`: hears all and answers nothing; `refuses`: freezes, and refuses to thaw three times.
 * libvirt says one line at a time, and waits for its answer.
 */
static void be_the_agent(const char *kind) {
  static char said[4096], answer[128];
  int port = -1, frozen = 0, refusals = strcmp(kind, "refuses") ? 0 : 3;
  for (int tries = 0; port < 0 && tries < 100; tries++, usleep(100000)) port = open("/dev/vport0p1", O_RDWR);
  for (size_t length = 0;;) {
    ssize_t more = read(port, said + length, sizeof said - 1 - length);
    if (more <= 0) usleep(100000); /* nobody is at the other end */
    said[length += more > 0 ? more : 0] = 0;
    if (!strchr(said, '\n')) continue;
    length = 0;
    if (!strcmp(kind, "mute")) continue;
    const char *id = strstr(said, "\"id\":");
    long long value = id ? atoll(id + 5) : 1;
    int thaw = !!strstr(said, "fsfreeze-thaw");
    if (strstr(said, "fsfreeze-freeze") && !frozen) take(), frozen = 1;
    int refused = thaw && refusals > 0 && refusals--;
    if (thaw && !refused && frozen) give(), frozen = 0;
    int size = snprintf(answer, sizeof answer, refused ? "{\"error\":{\"class\":\"GenericError\",\"desc\":\"the agent is busy\"}}\n" : "{\"return\":%lld}\n", value);
    if (write(port, answer, size) != size) continue;
  }
}

static void be_the_guest(void) {
  const char *modules[] = {"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "virtio_console"};
  mount("dev", "/dev", "devtmpfs", 0, "");
  int serial = open("/dev/ttyS0", O_WRONLY | O_NOCTTY), disk = -1;
  dup2(serial, 1);
  setvbuf(stdout, 0, _IONBF, 0);
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) load(modules[i]);
  for (int tries = 0; disk < 0 && tries < 100; tries++, usleep(100000)) disk = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC);
  if (disk < 0 || ioperm(0x70, 2, 1)) {
    printf("the guest cannot begin: %s\n", strerror(errno));
    for (;;) pause();
  }
  if (pipe(leave)) printf("no pipe: %s\n", strerror(errno));
  give();
  const char *agent = getenv("agent");
  if (agent && fork() == 0) be_the_agent(agent);
  long pace = setting("pace", 20);
  off_t size = size_of(disk);
  for (uint64_t number = setting("first", 1);; number++) {
    int64_t from = now_ms();
    take();
    int error = write_number(disk, size, number);
    give();
    int64_t to = now_ms();
    char line[96];
    int length = snprintf(line, sizeof line, "w %llu %lld %lld %d %d\n", (unsigned long long)number, (long long)(to - from),
                          (long long)to, rtc_seconds(), error);
    /* Said before the next one is begun. */
    if (write(serial, line, length) == length) tcdrain(serial);
    usleep(pace * 1000);
  }
}

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int count, char **words) {
  if (getpid() == 1) be_the_guest();
  if (count < 3) return fputs("guest last FILE | guest replay FILE N\n", stderr), 2;
  int disk = open(words[2], O_RDWR);
  if (disk < 0) return fail(words[2]);
  off_t size = size_of(disk);
  uint64_t last = 0;
  if (!strcmp(words[1], "last")) {
    for (off_t at = 0; at + BLOCK <= size; at += BLOCK) {
      if (pread(disk, block, BLOCK, at) != BLOCK) return fail(words[2]);
      if (block[0] == MARK && block[1] > last) last = block[1];
    }
    printf("%llu\n", (unsigned long long)last);
  } else if (!strcmp(words[1], "replay") && count == 4) {
    last = strtoull(words[3], 0, 10);
    for (uint64_t number = 1; number <= last; number++)
      if (write_number(disk, size, number)) return fail(words[2]);
  }
  return 0;
}
