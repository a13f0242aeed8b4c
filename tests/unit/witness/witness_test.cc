#include "witness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "shell/link/link_manager.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::vector<std::byte> secret(const char* text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text);
  return {bytes, bytes + std::strlen(text)};
}

class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "lockstep-witness-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path = name;
  }
  ~Scratch() { fs::remove_all(path); }
  fs::path path;
};

const ResourceId kA = Uuid::from_words(1, 1);
const ResourceId kB = Uuid::from_words(2, 2);

WitnessRecord record_of(uint64_t n) {
  WitnessRecord record;
  record.acceptor.acceptor = Uuid::from_words(7, 7);
  record.acceptor.promised = {n, Seat{1}, 1};
  record.memory.lineage = {n, {100 + n, 99 + n}};
  record.memory.known[3][0] = {Uuid::from_words(3, 3), n, 40 + n};
  return record;
}

VoterHello hello_of(uint8_t node, uint64_t start = 5) {
  return {Uuid::from_words(90, node), Uuid::from_words(91, node), Lineage{start, {1000 + start}}};
}

// --- state files -----------------------------------------------------------------------------------------

StateFile::Opened open_state(const fs::path& path) {
  auto opened = StateFile::open(path, kA);
  EXPECT_TRUE(opened.ok());
  return std::move(opened).value();
}

TEST(StateFile, RemembersTheNewestRecord) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  {
    auto opened = open_state(path);
    EXPECT_EQ(opened.found, StateFound::fresh);
    for (uint64_t n = 1; n <= 5; ++n) ASSERT_TRUE(opened.file.store(record_of(n)).ok());
  }
  for (int again = 0; again < 2; ++again) {
    auto opened = open_state(path);
    EXPECT_EQ(opened.found, StateFound::whole);
    EXPECT_EQ(opened.record, record_of(5));
  }
  EXPECT_EQ(fs::file_size(path), 8192u);
}

TEST(StateFile, ACopyIsANewAcceptor) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  ASSERT_TRUE(open_state(path).file.store(record_of(1)).ok());
  fs::copy_file(path, dir.path / "copy.state");
  EXPECT_EQ(open_state(dir.path / "copy.state").found, StateFound::copied);
  EXPECT_EQ(open_state(dir.path / "copy.state").found, StateFound::fresh) << "and it is told once";
  EXPECT_EQ(open_state(path).found, StateFound::whole);
}

TEST(StateFile, AnEmptiedFileIsANewAcceptor) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  ASSERT_TRUE(open_state(path).file.store(record_of(1)).ok());
  fs::resize_file(path, 0);
  EXPECT_EQ(open_state(path).found, StateFound::fresh);
}

TEST(StateFile, EveryDamagedByteIsNoticed) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  for (size_t at : {0, 9, 17, 30, 50, 64, 80, 300, 508, 511, 4096, 4100, 4130, 4607}) {
    fs::remove(path);
    {
      auto opened = open_state(path);
      for (uint64_t n = 1; n <= 2; ++n) ASSERT_TRUE(opened.file.store(record_of(n)).ok());
    }
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(file.get() ^ 0x40);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
    file.close();
    EXPECT_EQ(open_state(path).found, StateFound::damaged) << at;
  }
}

// Longer than what a disk writes at once: what a power loss tore was not yet relied upon.
TEST(StateFile, ATornMemoryIsTheOneBefore) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  {
    auto opened = open_state(path);
    for (uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(opened.file.store(record_of(n)).ok());
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 540);  // of the third, in the slot for odd sequences
  file.put('\x5a');
  file.close();
  const auto opened = open_state(path);
  EXPECT_EQ(opened.found, StateFound::whole);
  EXPECT_EQ(opened.record.acceptor, record_of(3).acceptor);
  EXPECT_EQ(opened.record.memory, record_of(2).memory);
}

// Written before runs were remembered.
TEST(StateFile, AFileWithoutMemoryIsTaken) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  ASSERT_TRUE(open_state(path).file.store(record_of(1)).ok());
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 512);
  const std::string nothing(3584, '\0');
  file.write(nothing.data(), static_cast<std::streamsize>(nothing.size()));
  file.close();
  const auto opened = open_state(path);
  EXPECT_EQ(opened.found, StateFound::whole);
  EXPECT_EQ(opened.record.acceptor, record_of(1).acceptor);
  EXPECT_EQ(opened.record.memory, VoterMemory{});
}

TEST(StateFile, AnotherResourcesFileIsNotTaken) {
  const Scratch dir;
  const fs::path path = dir.path / "a.state";
  ASSERT_TRUE(open_state(path).file.store(record_of(1)).ok());
  auto opened = StateFile::open(path, kB);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened.value().found, StateFound::damaged);
}

TEST(StateDir, IsForOneWitness) {
  const Scratch dir;
  const auto first = StateDir::open(dir.path);
  ASSERT_TRUE(first.ok());
  const auto second = StateDir::open(dir.path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().os, EWOULDBLOCK);
}

TEST(Verifier, TextComesBackAsItWas) {
  const LinkKeys keys(secret("s"), kA);
  EXPECT_EQ(parse_verifier(verifier_text(keys.verifier())), keys.verifier());
  EXPECT_EQ(parse_verifier("00"), std::nullopt);
  EXPECT_EQ(parse_verifier(std::string(64, 'g')), std::nullopt);
}

TEST(Verifier, StrangersCannotFillTheDisk) {
  const Scratch path;
  const auto dir = StateDir::open(path.path);
  ASSERT_TRUE(dir.ok());
  VerifierStore store(dir.value(), "", 1);
  const LinkKeys keys(secret("s"), kA);
  EXPECT_TRUE(store.accept(kA, keys.verifier()).ok());
  EXPECT_FALSE(store.accept(kB, keys.verifier()).ok());
  const auto again = store.accept(kA, keys.verifier());
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again.value());
}

// --- acceptors -------------------------------------------------------------------------------------------

Prepare prepare_of(uint64_t counter, uint8_t node) {
  const Holder candidate{Seat{node}, Uuid::from_words(node, 1), 1};
  return {{counter, Seat{node}, 1}, candidate, 0, {}, false};
}

// As a connection of its own would: the node is introduced, then asks.
AcceptorStore::Handled ask(AcceptorStore& store, const ResourceId& resource, uint8_t node, const Message& message) {
  bool introduced = false;
  const auto hello = store.handle(resource, Seat{node}, Instant{1}, introduced, hello_of(node));
  EXPECT_TRUE(hello.violation || !hello.answer || std::holds_alternative<VoterHello>(*hello.answer));
  return store.handle(resource, Seat{node}, Instant{1}, introduced, message);
}

TEST(AcceptorStore, PromisesSurviveAStart) {
  const Scratch path;
  auto dir = StateDir::open(path.path);
  ASSERT_TRUE(dir.ok());
  {
    AcceptorStore store(dir.value(), Uuid::from_words(1, 0), Instant{});
    ASSERT_TRUE(store.prepare(kA).ok());
    const auto answer = ask(store, kA, 1, prepare_of(5, 1)).answer;
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(std::holds_alternative<Promise>(*answer));
  }
  AcceptorStore store(dir.value(), Uuid::from_words(2, 0), Instant{});
  ASSERT_TRUE(store.prepare(kA).ok());
  ASSERT_TRUE(store.prepare(kB).ok());
  const auto lower = ask(store, kA, 0, prepare_of(4, 0)).answer;
  ASSERT_TRUE(lower.has_value());
  EXPECT_TRUE(std::holds_alternative<VoteRefused>(*lower));
  const auto handled = ask(store, kB, 0, prepare_of(4, 0));
  const auto& other = handled.answer;
  ASSERT_TRUE(other.has_value());
  EXPECT_TRUE(std::holds_alternative<Promise>(*other)) << "resources have nothing to do with each other";
  EXPECT_FALSE(handled.violation);
}

// No byte may be written: what a full disk and a failing one have in common.
class NoRoom {
 public:
  NoRoom() : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~NoRoom() {
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0);
    ::signal(SIGXFSZ, handler_);
  }
  NoRoom(const NoRoom&) = delete;
  NoRoom& operator=(const NoRoom&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(AcceptorStore, AFailedWriteSilencesTheAcceptorForGood) {
  const Scratch path;
  auto dir = StateDir::open(path.path);
  ASSERT_TRUE(dir.ok());
  AcceptorStore store(dir.value(), Uuid::from_words(1, 0), Instant{});
  ASSERT_TRUE(store.prepare(kA).ok());
  bool introduced = false;
  ASSERT_TRUE(store.handle(kA, Seat{1}, Instant{1}, introduced, hello_of(1)).answer.has_value());
  AcceptorStore::Handled failed;
  {
    const NoRoom no_room;
    failed = store.handle(kA, Seat{1}, Instant{1}, introduced, prepare_of(5, 1));
  }
  EXPECT_FALSE(failed.answer.has_value());
  EXPECT_FALSE(failed.violation);
  ASSERT_NE(store.failure_of(kA), nullptr);
  EXPECT_FALSE(store.prepare(kA).ok()) << "and who comes again is told";
  const auto later = store.handle(kA, Seat{1}, Instant{2}, introduced, prepare_of(6, 1)).answer;
  ASSERT_TRUE(later.has_value());
  ASSERT_TRUE(std::holds_alternative<VoteRefused>(*later));
  EXPECT_EQ(std::get<VoteRefused>(*later).why, VoteRefusal::storage_failed);
}

TEST(AcceptorStore, NobodySpeaksForAnotherNode) {
  const Scratch path;
  auto dir = StateDir::open(path.path);
  ASSERT_TRUE(dir.ok());
  AcceptorStore store(dir.value(), Uuid::from_words(1, 0), Instant{});
  ASSERT_TRUE(store.prepare(kA).ok());
  EXPECT_TRUE(ask(store, kA, 0, prepare_of(5, 1)).violation);
  EXPECT_TRUE(ask(store, kA, 0, FlushRequest{}).violation);
  EXPECT_TRUE(ask(store, kA, 0, hello_of(0)).violation) << "once is enough";
}

TEST(AcceptorStore, NothingCountsBeforeTheNodeIsIntroduced) {
  const Scratch path;
  auto dir = StateDir::open(path.path);
  ASSERT_TRUE(dir.ok());
  AcceptorStore store(dir.value(), Uuid::from_words(1, 0), Instant{});
  ASSERT_TRUE(store.prepare(kA).ok());
  bool introduced = false;
  const auto early = store.handle(kA, Seat{1}, Instant{1}, introduced, prepare_of(5, 1));
  EXPECT_FALSE(early.answer.has_value());
  EXPECT_FALSE(early.violation);
}

TEST(AcceptorStore, ANodeWhoseMemoryWasSetBackIsShutOutAndTold) {
  const Scratch path;
  auto dir = StateDir::open(path.path);
  ASSERT_TRUE(dir.ok());
  {
    AcceptorStore store(dir.value(), Uuid::from_words(1, 0), Instant{});
    ASSERT_TRUE(store.prepare(kA).ok());
    bool introduced = false;
    ASSERT_TRUE(store.handle(kA, Seat{1}, Instant{1}, introduced, hello_of(1, 7)).answer.has_value());
  }
  AcceptorStore store(dir.value(), Uuid::from_words(2, 0), Instant{});  // it remembers across a start of its own
  ASSERT_TRUE(store.prepare(kA).ok());
  bool introduced = false;
  const auto told = store.handle(kA, Seat{1}, Instant{1}, introduced, hello_of(1, 6));
  ASSERT_TRUE(told.answer.has_value());
  ASSERT_TRUE(std::holds_alternative<Superseded>(*told.answer));
  EXPECT_EQ(std::get<Superseded>(*told.answer).known.start, 7u);
  EXPECT_FALSE(introduced);
  EXPECT_FALSE(store.handle(kA, Seat{1}, Instant{1}, introduced, prepare_of(5, 1)).answer.has_value());
}

// --- the whole, over loopback ----------------------------------------------------------------------------

struct Voter final : LinkOwner {
  void link_up(Seat, LinkId id) override {
    up = true;
    link = id;
  }
  void link_down(Seat, LinkId, const std::string&) override { up = false; }
  void message(Seat, LinkId, Message message, BufferRef) override {
    if (const auto* said = std::get_if<VoterHello>(&message)) {
      hello = *said;
    } else {
      answers.push_back(std::move(message));
    }
  }
  void refused(Seat, const std::string& why) override { refusals.push_back(why); }
  void path_changed(Seat, const std::string&, bool) override { ADD_FAILURE() << "a witness has one path"; }
  bool up = false;
  LinkId link;
  std::optional<VoterHello> hello;
  std::vector<Message> answers;
  std::vector<std::string> refusals;
};

class WitnessTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = EventLoop::create(IoEngine::automatic);
    ASSERT_TRUE(made.ok());
    loop = std::move(made).value();
    auto opened = StateDir::open(scratch.path);
    ASSERT_TRUE(opened.ok());
    dir.emplace(std::move(opened).value());
    start();
  }
  void TearDown() override {
    witness.reset();
    if (loop) loop->run_once({});
  }
  void start(const std::string& verifiers = "") {
    witness.reset();
    WitnessSettings settings;
    settings.listen = {"127.0.0.1", "0"};
    settings.verifiers = verifiers;
    witness = std::make_unique<Witness>(*loop, *dir, settings);
    ASSERT_TRUE(witness->start().ok());
  }
  std::unique_ptr<LinkManager> client(const ResourceId& resource, uint8_t node, const char* key, Voter& owner) {
    LinkSettings s;
    s.resource = resource;
    s.self = Seat{node};
    s.secret = secret(key);
    s.peers = {{witness_seat(0), "gamma", {{{}, {"127.0.0.1", std::to_string(witness->listening_at().port())}}}}};
    s.connect_int = milliseconds(100);
    auto manager = std::make_unique<LinkManager>(*loop, pool, s, owner);
    EXPECT_TRUE(manager->start().ok());
    return manager;
  }
  void greet(LinkManager& manager, uint8_t node, Voter& owner) {
    ASSERT_TRUE(until([&] { return owner.up; }));
    owner.hello.reset();
    manager.send(witness_seat(0), owner.link, hello_of(node), {});
    ASSERT_TRUE(until([&] { return owner.hello.has_value(); }));
  }
  template <class F>
  bool until(F condition) {
    const Instant end = loop->now() + seconds(10);
    while (!condition() && loop->now() < end) loop->run_once(milliseconds(20));
    return condition();
  }
  Scratch scratch;
  std::unique_ptr<EventLoop> loop;
  BufferPool pool{1 << 20};
  std::optional<StateDir> dir;
  std::unique_ptr<Witness> witness;
};

TEST_F(WitnessTest, ServesSeveralResourcesAndNodes) {
  Voter a0, a1, b0;
  const auto on_a0 = client(kA, 0, "a", a0);
  const auto on_a1 = client(kA, 1, "a", a1);
  const auto on_b0 = client(kB, 0, "b", b0);
  greet(*on_a0, 0, a0);
  greet(*on_a1, 1, a1);
  greet(*on_b0, 0, b0);
  on_a0->send(witness_seat(0), a0.link, prepare_of(3, 0), {});
  on_b0->send(witness_seat(0), b0.link, prepare_of(3, 0), {});
  ASSERT_TRUE(until([&] { return a0.answers.size() == 1 && b0.answers.size() == 1; }));
  on_a1->send(witness_seat(0), a1.link, prepare_of(2, 1), {});
  ASSERT_TRUE(until([&] { return a1.answers.size() == 1; }));
  EXPECT_TRUE(std::holds_alternative<Promise>(a0.answers[0]));
  EXPECT_TRUE(std::holds_alternative<Promise>(b0.answers[0]));
  EXPECT_TRUE(std::holds_alternative<VoteRefused>(a1.answers[0]));
  EXPECT_NE(std::get<Promise>(a0.answers[0]).who.acceptor, std::get<Promise>(b0.answers[0]).who.acceptor);
}

TEST_F(WitnessTest, AfterTheFirstContactOnlyTheSameSecretIsAnswered) {
  Voter first, impostor;
  const auto good = client(kA, 0, "right", first);
  ASSERT_TRUE(until([&] { return first.up; }));
  EXPECT_TRUE(fs::exists(scratch.path / (kA.to_string() + ".pub")));
  const auto bad = client(kA, 1, "wrong", impostor);
  ASSERT_TRUE(until([&] { return !impostor.refusals.empty(); }));
  EXPECT_FALSE(impostor.up);
  EXPECT_NE(impostor.refusals[0].find("wrong secret"), std::string::npos) << impostor.refusals[0];
  start();  // and after a restart
  Voter again;
  const auto later = client(kA, 1, "wrong", again);
  ASSERT_TRUE(until([&] { return !again.refusals.empty(); }));
}

TEST_F(WitnessTest, ADamagedVerifierLetsNobodyIn) {
  std::ofstream(scratch.path / (kA.to_string() + ".pub")) << "garbage\n";
  Voter node;
  const auto manager = client(kA, 0, "any", node);
  ASSERT_TRUE(until([&] { return !node.refusals.empty(); }));
  EXPECT_FALSE(node.up);
  EXPECT_EQ(node.refusals[0], "gamma refused: storage failed (the verifier is damaged; its log says more)");
}

TEST_F(WitnessTest, AStateFileThatCannotBeOpenedIsTheReasonThatNodesHear) {
  fs::create_directory(scratch.path / (kA.to_string() + ".state"));
  Voter node;
  const auto manager = client(kA, 0, "any", node);
  ASSERT_TRUE(until([&] { return !node.refusals.empty(); }));
  EXPECT_FALSE(node.up);
  EXPECT_EQ(node.refusals[0], "gamma refused: storage failed (open the state file: Is a directory; its log says more)");
  fs::remove(scratch.path / (kA.to_string() + ".state"));
  EXPECT_TRUE(until([&] { return node.up; })) << "it is tried again without a restart";
}

TEST_F(WitnessTest, AFailedWriteIsToldToTheNodes) {
  Voter node;
  const auto manager = client(kA, 0, "a", node);
  greet(*manager, 0, node);
  {
    const NoRoom no_room;
    manager->send(witness_seat(0), node.link, prepare_of(3, 0), {});
    ASSERT_TRUE(until([&] { return !node.refusals.empty(); }));
  }
  EXPECT_TRUE(node.answers.empty());
  EXPECT_NE(node.refusals[0].find("could not write the state file"), std::string::npos) << node.refusals[0];
  EXPECT_NE(manager->status(witness_seat(0)).refusal, "");
}

TEST_F(WitnessTest, ACrowdThatSaysNothingDoesNotKeepNodesOut) {
  WitnessSettings settings;
  settings.listen = {"127.0.0.1", "0"};
  settings.handshake_timeout = seconds(600);
  settings.max_unauthenticated = 8;
  witness.reset();
  witness = std::make_unique<Witness>(*loop, *dir, settings);
  ASSERT_TRUE(witness->start().ok());
  const SocketAddress where = witness->listening_at();
  std::vector<UniqueFd> crowd;
  for (int i = 0; i < 20; ++i) {
    crowd.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(crowd.back().get(), where.get(), where.length), 0);
  }
  Voter node;
  const auto manager = client(kA, 0, "a", node);
  EXPECT_TRUE(until([&] { return node.up; }));
}

TEST_F(WitnessTest, PreloadedVerifiersShutOutUnknownResources) {
  const Scratch verifiers;
  std::ofstream(verifiers.path / (kA.to_string() + ".pub")) << verifier_text(LinkKeys(secret("a"), kA).verifier());
  start(verifiers.path);
  Voter known, unknown;
  const auto a = client(kA, 0, "a", known);
  const auto b = client(kB, 0, "b", unknown);
  ASSERT_TRUE(until([&] { return known.up && !unknown.refusals.empty(); }));
  EXPECT_FALSE(unknown.up);
  EXPECT_FALSE(fs::exists(scratch.path / (kB.to_string() + ".state")));
}

TEST_F(WitnessTest, AnEmptiedDirectoryMakesANewAcceptor) {
  Voter before;
  {
    const auto manager = client(kA, 0, "a", before);
    greet(*manager, 0, before);
    manager->send(witness_seat(0), before.link, prepare_of(9, 0), {});
    ASSERT_TRUE(until([&] { return !before.answers.empty(); }));
  }
  witness.reset();
  for (const auto& entry : fs::directory_iterator(scratch.path)) fs::remove(entry);
  start();
  Voter after;
  const auto manager = client(kA, 0, "a", after);
  greet(*manager, 0, after);
  manager->send(witness_seat(0), after.link, prepare_of(1, 0), {});
  ASSERT_TRUE(until([&] { return !after.answers.empty(); }));
  ASSERT_TRUE(std::holds_alternative<Promise>(after.answers[0]));
  EXPECT_NE(std::get<Promise>(after.answers[0]).who.acceptor, std::get<Promise>(before.answers[0]).who.acceptor);
}

// The file system came back as it was a while ago, under the same inode: only a node can know.
TEST_F(WitnessTest, AStateThatWasSetBackBeginsAnewWhenANodeSaysSo) {
  const fs::path file = scratch.path / (kA.to_string() + ".state");
  Voter node;
  auto manager = client(kA, 0, "a", node);
  greet(*manager, 0, node);
  std::ifstream in(file, std::ios::binary);
  const std::string image((std::istreambuf_iterator<char>(in)), {});
  in.close();
  const auto anew = [&] {
    manager.reset();
    witness.reset();
    node.up = false;
  };
  anew();
  start();
  manager = client(kA, 0, "a", node);
  greet(*manager, 0, node);
  const VoterHello later = *node.hello;
  anew();
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
      .write(image.data(), static_cast<std::streamsize>(image.size()));
  start();
  manager = client(kA, 0, "a", node);
  greet(*manager, 0, node);
  EXPECT_EQ(node.hello->acceptor, later.acceptor);
  EXPECT_EQ(node.hello->lineage.start, later.lineage.start);
  EXPECT_NE(node.hello->lineage.tokens[0], later.lineage.tokens[0]) << "another run of the same number";
  const LinkId before = node.link;
  manager->send(witness_seat(0), node.link, Superseded{{later.acceptor, later.lineage.start, later.lineage.tokens[0]}}, {});
  ASSERT_TRUE(until([&] { return node.up && node.link != before; })) << "everybody has to meet the new acceptor";
  greet(*manager, 0, node);
  EXPECT_NE(node.hello->acceptor, later.acceptor);
}

}  // namespace
}  // namespace lockstep
