// The steps of one durable write of src/adapters/host/posix-host-files.ts, call for call, in C: what the disk and the kernel alone cost.
// Usage: durable-write DIRECTORY ROUNDS. Prints the nanoseconds of each round, one a line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[4096], file[8192], temporary[8192], buffer[1 << 20];
static size_t length;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void must(int result, const char *what)
{
	if (result < 0)
		die(what);
}

/* Each directory from the root of the host on, then the file, as resolveHostPath does. */
static void look(void)
{
	struct stat stat;
	char etc[8192];
	snprintf(etc, sizeof etc, "%s/etc", directory);
	must(lstat(directory, &stat), "lstat");
	must(lstat(etc, &stat), "lstat");
	strcat(etc, "/criu");
	must(lstat(etc, &stat), "lstat");
	if (lstat(file, &stat) < 0 && errno != ENOENT)
		die("lstat");
}

static void read_file(void)
{
	struct stat stat;
	look();
	int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	must(fstat(fd, &stat), "fstat");
	length = 0;
	for (ssize_t count; (count = read(fd, buffer + length, sizeof buffer - length)) > 0;)
		length += count;
	must(close(fd), "close");
}

static void sync_directory(void)
{
	char criu[8192];
	snprintf(criu, sizeof criu, "%s/etc/criu", directory);
	int fd = open(criu, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	must(fd, "open directory");
	must(fsync(fd), "fsync directory");
	must(close(fd), "close");
}

static void write_durably(const char *content, size_t size)
{
	struct stat stat;
	read_file(); /* the caller's read */
	read_file(); /* is it still the same? */
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	must(fd, "create");
	must(fchown(fd, 0, 0), "fchown");
	must(fchmod(fd, 0644), "fchmod");
	for (size_t done = 0; done < size;) {
		ssize_t count = write(fd, content + done, size - done);
		must(count, "write");
		done += count;
	}
	must(fstat(fd, &stat), "fstat");
	must(fsync(fd), "fsync");
	must(close(fd), "close");
	read_file(); /* is it still the same? */
	must(rename(temporary, file), "rename");
	must(lstat(file, &stat), "lstat");
	sync_directory();
}

int main(int count, char **arguments)
{
	if (count != 3)
		return 2;
	snprintf(directory, sizeof directory, "%s", arguments[1]);
	snprintf(file, sizeof file, "%s/etc/criu/c.conf", directory);
	snprintf(temporary, sizeof temporary, "%s/etc/criu/.ghostlimit-c.conf.0123456789abcdef.tmp", directory);
	static char content[300];
	memset(content, '#', sizeof content);
	for (int round = 0; round < atoi(arguments[2]); round++) {
		struct timespec start, end;
		content[0] = '0' + round % 10;
		clock_gettime(CLOCK_MONOTONIC, &start);
		write_durably(content, sizeof content);
		clock_gettime(CLOCK_MONOTONIC, &end);
		printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
	}
	return 0;
}
