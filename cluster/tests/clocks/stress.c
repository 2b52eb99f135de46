/* Eight threads that do nothing but read clocks; with an argument, something else between readings. The monotonic one must never go back, for any
 * thread; every reading must be whole. Says "back ..." or "torn ..." if not, and now and then that
 * it goes on. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long long readings[8];

static int pause_between;

static void *read_clocks(void *argument) {
    int number = (int)(long)argument;
    struct timespec last = {0, 0}, now;
    struct timeval tv;
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_nsec < 0 || now.tv_nsec > 999999999)
            printf("torn %ld %ld\n", now.tv_sec, now.tv_nsec), fflush(stdout), exit(1);
        if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec))
            printf("back from %ld.%09ld to %ld.%09ld\n", last.tv_sec, last.tv_nsec, now.tv_sec,
                   now.tv_nsec),
                fflush(stdout), exit(1);
        last = now;
        gettimeofday(&tv, 0);
        time(0);
        readings[number]++;
        for (volatile int i = 0; i < pause_between; i++)
            ;
    }
    return argument;
}

int main(int argc, char **argv) {
    pthread_t threads[8];
    (void)argv;
    pause_between = argc > 1 ? 2000 : 0;
    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], 0, read_clocks, (void *)i);
    for (;;) {
        unsigned long long sum = 0;
        usleep(10000);
        for (int i = 0; i < 8; i++)
            sum += readings[i];
        printf("on %llu\n", sum);
        fflush(stdout);
    }
}
