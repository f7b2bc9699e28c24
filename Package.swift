// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "stpn_swift",
    // Tested on Linux; on macOS untested.
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "STPNKernel", targets: ["STPNKernel"])
    ],
    targets: [
        // The C interface: a header that Swift, C and the Python extension share.
        .systemLibrary(name: "CSTPN", path: "Sources/CSTPN/include"),
        // Threads and processor features, in C: the kernel is also built as Embedded Swift, which has neither.
        .target(name: "CPlatform", linkerSettings: [.linkedLibrary("m")]),
        .target(name: "STPNKernel", dependencies: ["CSTPN", "CPlatform"]),
        .testTarget(
            name: "STPNKernelTests", dependencies: ["STPNKernel", "CSTPN"]),
    ],
    swiftLanguageModes: [.v6]
)
