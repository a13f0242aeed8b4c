// guest-load DIRECTORY WORKER   writes records until DIRECTORY/stop exists, and says "a WORKER NUMBER" for each that fsync has
// acknowledged, "e WORKER NUMBER TEXT" for an error, after which it ends. records.py knows what the files have to hold.
// Record N is appended to WORKER/N/64, a new file for every 64 of them, and written over the one before it in WORKER/last.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

constexpr size_t kRecord = 4096;
constexpr unsigned kRecordsOfAFile = 64;

std::string record(const std::string& worker, unsigned number) {
  const std::string line = "record " + std::to_string(number) + " of " + worker + "\n";
  std::string bytes;
  while (bytes.size() < kRecord) bytes += line;
  bytes.resize(kRecord);
  return bytes;
}

bool write_through(const std::string& path, const std::string& bytes, off_t offset) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  if (fd < 0) return false;
  const bool written = pwrite(fd, bytes.data(), bytes.size(), offset) == static_cast<ssize_t>(bytes.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  return written;
}

bool sync_directory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced;
}

void say(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string top = argv[1], worker = argv[2], directory = top + "/" + worker, stop = top + "/stop";
  mkdir(directory.c_str(), 0755);
  bool good = sync_directory(top);
  for (unsigned number = 0; access(stop.c_str(), F_OK) != 0; ++number) {
    const unsigned place = number % kRecordsOfAFile;
    const std::string bytes = record(worker, number);
    good = good && write_through(directory + "/" + std::to_string(number / kRecordsOfAFile), bytes, place * kRecord) &&
           write_through(directory + "/last", bytes, 0) && (place != 0 || sync_directory(directory));
    if (!good) {
      say("e " + worker + " " + std::to_string(number) + " " + std::strerror(errno) + "\n");
      return 1;
    }
    say("a " + worker + " " + std::to_string(number) + "\n");
  }
  return 0;
}
