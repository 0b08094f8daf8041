/* Writes down what a process does to the files of one folder, for a power cut that is played later.
 *
 * Loaded with LD_PRELOAD. STORE_TRACE names the file to write to, STORE_TRACE_FOLDER the folder.
 * Each entry is: operation (1 byte), length of the name (4), offset (8), length of the data (8),
 * all in the machine's order; then the name and the data.
 *
 *     O  opened to be made or emptied; offset is 1 for emptied      W  data written at an offset
 *     T  cut or grown to a length    F  grown to at least a length  S  synced (a file or the folder)
 *     U  unlinked                    R  renamed; data is the name   N  said on the standard output
 *
 * A sync is written down when it has come back, everything else before it is done: killed in
 * between, the trace knows of a write more, never of a promise more. What lies in memory that is
 * shared (-shm) is not seen, and a power cut loses it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 4096

static int trace = -1;
static char folder[PATH_MAX];
static char names[FILES_MAX][PATH_MAX / 8];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("STORE_TRACE"), *watched = getenv("STORE_TRACE_FOLDER");
    if (path == NULL || watched == NULL) return;
    strncpy(folder, watched, sizeof folder - 1);
    trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(char what, const char *name, uint64_t offset, const void *data, uint64_t size) {
    struct __attribute__((packed)) { char what; uint32_t name; uint64_t offset, size; } head = {
        what, strlen(name), offset, size};
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)name, head.name}, {(void *)data, size}};
    if (syscall(SYS_writev, trace, parts, 3) < 0) abort();
}

/* The name of an open file that is watched; NULL for any other. */
static const char *name_of(int file) {
    if (trace < 0 || file < 0 || file >= FILES_MAX || names[file][0] == 0) return NULL;
    return names[file];
}

static int is_watched(const char *path) {
    return trace >= 0 && path != NULL && strncmp(path, folder, strlen(folder)) == 0
        && strlen(path) < sizeof names[0] && strstr(path, "-shm") == NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(const char *path, int file) {
    if (file < 0 || file >= FILES_MAX) return file;
    names[file][0] = 0;
    if (is_watched(path)) strcpy(names[file], path);
    return file;
}

static void opening(const char *path, int flags) {
    if (is_watched(path) && (flags & (O_CREAT | O_TRUNC)))
        put('O', path, (flags & O_TRUNC) != 0, "", 0);
}

#define OPEN(name, parameters, call)                                    \
    int name parameters {                                                 \
        va_list rest;                                                       \
        va_start(rest, flags);                                              \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                       \
        pthread_mutex_lock(&lock);                                          \
        opening(path, flags);                                               \
        int file = opened(path, REAL(name) call);                    \
        pthread_mutex_unlock(&lock);                                        \
        return file;                                                        \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))

int close(int file) {
    if (file >= 0 && file < FILES_MAX) names[file][0] = 0;
    return REAL(close)(file);
}

/* Do a call under the lock, after noting it if the file is watched. */
#define NOTED(type, file, note, call)             \
    pthread_mutex_lock(&lock);                      \
    const char *name = name_of(file);               \
    if (name != NULL) note;                         \
    type answer = call;                             \
    pthread_mutex_unlock(&lock);                    \
    return answer;

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    NOTED(ssize_t, file, put('W', name, offset, data, size), REAL(pwrite)(file, data, size, offset))
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    NOTED(ssize_t, file, put('W', name, offset, data, size),
          REAL(pwrite64)(file, data, size, offset))
}

static off_t position(int file) {
    struct stat status;
    if ((fcntl(file, F_GETFL) & O_APPEND) && fstat(file, &status) == 0) return status.st_size;
    return lseek(file, 0, SEEK_CUR);
}

ssize_t write(int file, const void *data, size_t size) {
    if (file == STDOUT_FILENO && trace >= 0) put('N', "", 0, data, size);
    NOTED(ssize_t, file, put('W', name, position(file), data, size), REAL(write)(file, data, size))
}

int ftruncate(int file, off_t size) {
    NOTED(int, file, put('T', name, size, "", 0), REAL(ftruncate)(file, size))
}

int ftruncate64(int file, off64_t size) {
    NOTED(int, file, put('T', name, size, "", 0), REAL(ftruncate64)(file, size))
}

int posix_fallocate(int file, off_t offset, off_t size) {
    NOTED(int, file, put('F', name, offset + size, "", 0),
          REAL(posix_fallocate)(file, offset, size))
}

int posix_fallocate64(int file, off64_t offset, off64_t size) {
    NOTED(int, file, put('F', name, offset + size, "", 0),
          REAL(posix_fallocate64)(file, offset, size))
}

static int synced(int file, int answer) {
    const char *name = name_of(file);
    if (name != NULL && answer == 0) put('S', name, 0, "", 0);
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Under the lock as a whole, so that what is written during a sync does not count as synced. */
int fsync(int file) {
    pthread_mutex_lock(&lock);
    return synced(file, REAL(fsync)(file));
}

int fdatasync(int file) {
    pthread_mutex_lock(&lock);
    return synced(file, REAL(fdatasync)(file));
}

/* Do a call on a path under the lock, after noting it if the path is watched. */
#define NOTED_PATH(path, note, call)              \
    pthread_mutex_lock(&lock);                      \
    if (is_watched(path)) note;                     \
    int answer = call;                              \
    pthread_mutex_unlock(&lock);                    \
    return answer;

int unlink(const char *path) {
    NOTED_PATH(path, put('U', path, 0, "", 0), REAL(unlink)(path))
}

int unlinkat(int at, const char *path, int flags) {
    NOTED_PATH(path, put('U', path, 0, "", 0), REAL(unlinkat)(at, path, flags))
}

int rename(const char *path, const char *to) {
    NOTED_PATH(path, put('R', path, 0, to, strlen(to)), REAL(rename)(path, to))
}

int renameat(int at, const char *path, int at_to, const char *to) {
    NOTED_PATH(path, put('R', path, 0, to, strlen(to)), REAL(renameat)(at, path, at_to, to))
}
