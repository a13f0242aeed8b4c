// Commands to a disk over a Unix socket: a connection carries one line and gets one line.
#pragma once

#include <string>
#include <thread>

#include "lossy_disk/disk.h"

namespace lockstep::lossy {

class Control {
 public:
  // Listens at once; throws std::system_error if it can't.
  Control(Disk& disk, const std::string& path);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

 private:
  void serve();
  void answer(int connection);

  Disk& disk_;
  std::string path_;
  int listener_;
  std::thread thread_;
};

}  // namespace lockstep::lossy
