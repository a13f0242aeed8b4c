#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "shell/flight/flight_archive.h"
#include "shell/flight/flight_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

class FlightFiles : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/flight-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { fs::remove_all(directory_); }
  void make(const std::string& name, size_t bytes) const {
    std::ofstream(directory_ / "r" / name, std::ios::binary) << std::string(bytes, 'x');
  }
  Result<void> put_away(uint64_t most) const { return put_away_recordings(directory_ / "r", "f", most); }
  std::string names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory_ / "r")) found.insert(entry.path().filename());
    std::string all;
    for (const std::string& name : found) all += name + " ";
    return all;
  }
  fs::path directory_;
};

TEST_F(FlightFiles, EarlierRunsAreMovedOnAndBounded) {
  ASSERT_TRUE(put_away(1000).ok());  // makes the directory
  EXPECT_EQ(names(), "");
  for (int i = 0; i < 12; ++i) {
    make("f", 100);
    ASSERT_TRUE(put_away(5000).ok());
  }
  EXPECT_EQ(names(), "f.1 f.2 f.3 f.4 f.5 f.6 f.7 f.8 f.9 ");
  make("f", 100);
  ASSERT_TRUE(put_away(350).ok());
  EXPECT_EQ(names(), "f.1 f.2 f.3 ");
  make("f", 4000);  // larger than what may be kept: the newest is kept all the same
  ASSERT_TRUE(put_away(350).ok());
  EXPECT_EQ(names(), "f.1 ");
  ASSERT_TRUE(put_away(350).ok());  // nothing new: nothing moves
  EXPECT_EQ(names(), "f.1 ");
}

TEST_F(FlightFiles, APlaceThatIsNoneIsAnError) {
  std::ofstream(directory_ / "r") << "a file";
  make("f", 1);
  EXPECT_TRUE(put_away(10).ok());                                          // it is there, if not as what is wanted;
  EXPECT_FALSE(FlightFile::create(directory_ / "r" / "f", 1 << 20).ok());  // here it shows
  EXPECT_FALSE(put_away_recordings(directory_ / "no" / "where", "f", 10).ok());
}

TEST_F(FlightFiles, GrowsBySegmentsAndKeepsWhatWasStored) {
  const fs::path path = directory_ / "f";
  {
    auto file = FlightFile::create(path, 1 << 20);
    ASSERT_TRUE(file.ok());
    EXPECT_FALSE(FlightFile::create(path, 1 << 20).ok()) << "it exists";
    FlightFile& space = *file.value();
    EXPECT_EQ(fs::file_size(path), flight::kHeaderBytes);
    for (size_t i = 0; i < space.most_segments(); ++i) {
      const auto segment = space.add_segment();
      ASSERT_EQ(segment.size(), space.segment_bytes());
      segment.front() = static_cast<std::byte>(i + 1);
    }
    EXPECT_FALSE(space.lost());
  }
  EXPECT_LE(fs::file_size(path), (1 << 20) + flight::kHeaderBytes);
  std::ifstream in(path, std::ios::binary);
  in.seekg(flight::kHeaderBytes);
  EXPECT_EQ(in.get(), 1);
}

TEST_F(FlightFiles, AFileThatIsCutShortIsLostAndHarmsNobody) {
  const fs::path path = directory_ / "f";
  auto file = FlightFile::create(path, 1 << 20);
  ASSERT_TRUE(file.ok());
  const auto segment = file.value()->add_segment();
  fs::resize_file(path, 0);
  segment[4096] = std::byte{7};  // SIGBUS, were it not for the guard
  EXPECT_TRUE(file.value()->lost());
  EXPECT_EQ(segment[4096], std::byte{7});
  segment.back() = std::byte{1};

  auto second = FlightFile::create(directory_ / "g", 1 << 20);
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second.value()->lost());
}

TEST_F(FlightFiles, ABusErrorElsewhereStillEndsTheProcess) {
  const fs::path path = directory_ / "other";
  std::ofstream(path) << "x";
  auto guarded = FlightFile::create(directory_ / "f", 1 << 20);
  ASSERT_TRUE(guarded.ok());
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  auto mapping = GuardedMapping::create(fd.get(), 4096);
  ASSERT_TRUE(mapping.ok());
  volatile std::byte* place = nullptr;
  {
    const GuardedMapping gone = std::move(mapping).value();
    place = gone.bytes().data();
  }
  EXPECT_DEATH(place[0] = std::byte{1}, "");
}

}  // namespace
}  // namespace lockstep
