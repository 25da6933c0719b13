// The naive way to dispatch, for dispatch_bench to compare with: a generated synchronous stub, a
// unary method, default arguments, the C library's allocator. A program of its own because ours is
// linked with jemalloc, which would help it.
//
//   naive_dispatch_peer serve          prints the port, serves until standard input ends
//   naive_dispatch_peer measure PORT   for each line "tokens count" prints the median microseconds
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/naive_dispatch.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "rpc/credentials.h"

namespace moesaic::bench {
namespace {

constexpr std::size_t kRowBytes = 2 * 7168;

class NaiveService final : public NaiveDispatch::Service {
 public:
  grpc::Status Dispatch(grpc::ServerContext*, const v1::DispatchRequest* request,
                        v1::DispatchReply* reply) override {
    reply->set_code(v1::DISPATCH_CODE_OK);
    reply->set_rows(request->rows());
    return grpc::Status::OK;
  }
};

int Serve() {
  NaiveService service;
  grpc::ServerBuilder builder;
  int port = 0;
  const auto credentials = rpc::MakeServerCredentials({}, "127.0.0.1:0", false, nullptr);
  if (!credentials.ok()) return 1;
  builder.AddListeningPort("127.0.0.1:0", *credentials, &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("%d\n", port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

bool RoundTrip(NaiveDispatch::Stub& stub, const std::string& rows) {
  grpc::ClientContext context;
  v1::DispatchRequest request;
  request.set_row_count(static_cast<std::uint32_t>(rows.size() / kRowBytes));
  request.set_rows(rows);
  v1::DispatchReply reply;
  return stub.Dispatch(&context, request, &reply).ok() && reply.rows().size() == rows.size();
}

int Measure(const char* port) {
  const auto credentials = rpc::MakeChannelCredentials({});
  if (!credentials.ok()) return 1;
  const auto stub =
      NaiveDispatch::NewStub(grpc::CreateChannel(std::string("127.0.0.1:") + port, *credentials));
  int tokens = 0;
  int count = 0;
  while (std::scanf("%d %d", &tokens, &count) == 2 && count > 0) {
    const std::string rows(kRowBytes * tokens, 'x');
    std::vector<double> micros(count);
    for (double& time : micros) {
      const auto begin = std::chrono::steady_clock::now();
      if (!RoundTrip(*stub, rows)) return 1;
      time = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
                 .count();
    }
    std::nth_element(micros.begin(), micros.begin() + count / 2, micros.end());
    std::printf("%f\n", micros[count / 2]);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace moesaic::bench

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "serve") == 0) return moesaic::bench::Serve();
  if (argc == 3 && std::strcmp(argv[1], "measure") == 0) return moesaic::bench::Measure(argv[2]);
  std::fprintf(stderr, "usage: naive_dispatch_peer serve | measure PORT\n");
  return 2;
}
