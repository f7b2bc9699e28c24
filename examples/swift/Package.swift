// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "examples",
    platforms: [.macOS(.v15)],
    dependencies: [
        // The package that this folder is part of. A package elsewhere names the repository and a version instead:
        // .package(url: "https://…/stpn_swift.git", from: "0.1.0")
        .package(name: "stpn_swift", path: "../..")
    ],
    targets: [
        .executableTarget(name: "Retrieval", dependencies: [.product(name: "STPNKernel", package: "stpn_swift")]),
        .executableTarget(name: "Speed", dependencies: [.product(name: "STPNKernel", package: "stpn_swift")]),
    ],
    swiftLanguageModes: [.v6]
)
