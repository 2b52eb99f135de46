/* Threads in system calls and under a rain of signals: nothing of it may be lost, fail or be seen.
 * Says "wrong ..." if something is, "on N" after every round of calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int next_value;

static void wrong(const char *what) {
    printf("wrong: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
}

/* Queued signals come in order, each once. */
static void on_value(int signal, siginfo_t *info, void *context) {
    struct timespec now;
    (void)signal, (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (info->si_value.sival_int != next_value) {
        dprintf(1, "wrong: signal %d instead of %d\n", info->si_value.sival_int, next_value);
        _exit(1);
    }
    next_value++;
}

static void *receive(void *argument) {
    sigset_t set;
    struct timespec now;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    for (;;)
        clock_gettime(CLOCK_MONOTONIC, &now);
    return argument;
}

static void *sleep_and_poll(void *argument) {
    struct timespec brief = {0, 20000000}, left;
    for (;;) {
        if (nanosleep(&brief, &left))
            wrong("nanosleep");
        if (poll(NULL, 0, 20) != 0)
            wrong("poll");
    }
    return argument;
}

static int ends[2];

static void *read_pipe(void *argument) {
    char byte;
    for (;;)
        if (read(ends[0], &byte, 1) != 1)
            wrong("read");
    return argument;
}

static void *wait_for_condition(void *argument) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    for (;;)
        pthread_cond_wait(&never, &mutex);
    return argument;
}

int main(void) {
    pthread_t thread, receiver;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART}, trap;
    sigset_t set;
    action.sa_sigaction = on_value;
    sigaction(SIGRTMIN, &action, NULL);
    signal(SIGTRAP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGTRAP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pipe(ends))
        wrong("pipe");
    pthread_create(&receiver, 0, receive, NULL);
    pthread_create(&thread, 0, sleep_and_poll, NULL);
    pthread_create(&thread, 0, read_pipe, NULL);
    pthread_create(&thread, 0, wait_for_condition, NULL);
    for (int i = 0;; i++) {
        union sigval value = {.sival_int = i};
        struct timespec brief = {0, 300000};
        while (pthread_sigqueue(receiver, SIGRTMIN, value))
            if (errno != EAGAIN)
                wrong("sigqueue");
        if (nanosleep(&brief, NULL))
            wrong("main's nanosleep");
        if (i % 100 == 0) {
            sigaction(SIGTRAP, NULL, &trap);
            pthread_sigmask(SIG_BLOCK, NULL, &set);
            if (trap.sa_handler != SIG_IGN || !sigismember(&set, SIGTRAP))
                wrong("the handling of SIGTRAP");
            if (write(ends[1], "x", 1) != 1)
                wrong("write");
            printf("on %d\n", next_value);
            fflush(stdout);
        }
    }
}
