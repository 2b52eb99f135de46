/* Says what its clocks show, in microseconds, every millisecond: clock_gettime, gettimeofday and
 * time (of day), clock_gettime (monotonic), CLOCK_REALTIME_COARSE, and the truth, by the system
 * call, which nothing redirects: of day, monotonic. With an argument it first starts a child that
 * does the same, by fork ("fork") or by fork and exec ("exec"); or it waits in vfork most of the
 * time, for a child in its own memory ("vfork"). */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long us(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long true_us(clockid_t id) {
    struct timespec t;
    syscall(SYS_clock_gettime, id, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void report(const char *name) {
    struct timeval tv;
    long long day = us(CLOCK_REALTIME), mono = us(CLOCK_MONOTONIC);
    long long true_day = true_us(CLOCK_REALTIME), true_mono = true_us(CLOCK_MONOTONIC);
    gettimeofday(&tv, NULL);
    printf("%s %lld %lld %lld %lld %lld %lld %lld\n", name, day, mono, true_day, true_mono,
           tv.tv_sec * 1000000LL + tv.tv_usec, (long long)time(NULL) * 1000000LL,
           us(CLOCK_REALTIME_COARSE));
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "", *name = "clock";
    if (!strcmp(how, "child"))
        name = "child";
    if (!strcmp(how, "fork") || !strcmp(how, "exec")) {
        report("parent");
        /* Every 100 ms one more, that lives for 200 ms. */
        for (;;) {
            if (fork() == 0) {
                if (!strcmp(how, "exec"))
                    execl("/proc/self/exe", "clock", "brief", NULL);
                how = "brief";
                break;
            }
            usleep(100000);
        }
    }
    while (!strcmp(how, "vfork")) {
        report("parent");
        if (vfork() == 0) {
            usleep(200000);
            _exit(0);
        }
        wait(NULL);
    }
    if (!strcmp(how, "brief")) {
        for (int i = 0; i < 40; i++) {
            report("child");
            usleep(5000);
        }
        return 0;
    }
    for (;;) {
        report(name);
        usleep(1000);
    }
}
