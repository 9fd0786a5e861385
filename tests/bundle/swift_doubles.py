"""Doubles of what an iOS bundle calls, by their signatures, for a Swift without Apple's frameworks.

They are one package, which stands where the bundle looks for LiteRT's. Its LiteRT has the signatures of LiteRT's own
Swift sources and runs the TensorFlow Lite C library: on the CPU whole, on the GPU "in part". Apple's frameworks have
the signatures of Apple's documentation: a CVPixelBuffer holds pixels, all else draws, decodes and compiles nothing.
"""

# LIBRARY is the folder of libtensorflowlite_c.so, as the compiler sees it.
DOUBLES = {
    "Package.swift": """// swift-tools-version: 5.9
import PackageDescription

let frameworks = ["CoreGraphics", "CoreVideo", "ImageIO", "VideoToolbox", "CoreML", "UIKit"]
let package = Package(
    name: "LiteRT",
    products: [
        .library(name: "LiteRT", targets: ["LiteRT"]),
        .library(name: "LiteRtMetalAccelerator", targets: ["LiteRtMetalAccelerator"]),
    ],
    targets: [
        .target(
            name: "CTensorFlowLite",
            linkerSettings: [.unsafeFlags(["-LLIBRARY", "-ltensorflowlite_c"])]),
        .target(name: "LiteRT", dependencies: ["CTensorFlowLite"]),
        .target(name: "LiteRtMetalAccelerator", dependencies: frameworks.map { .init(stringLiteral: $0) }),
        .target(name: "CoreGraphics"),
        .target(name: "CoreVideo", dependencies: ["CoreGraphics"]),
        .target(name: "ImageIO", dependencies: ["CoreGraphics"]),
        .target(name: "CoreML", dependencies: ["CoreVideo"]),
        .target(
            name: "UIKit", dependencies: ["CoreGraphics"],
            swiftSettings: [.unsafeFlags(["-enable-library-evolution"])]),
        .target(name: "VideoToolbox", dependencies: ["CoreGraphics", "CoreVideo"]),
    ]
)
""",
    "Sources/LiteRT/LiteRT.swift": r"""import CTensorFlowLite
import Foundation

public enum LiteRtError: Error, CustomStringConvertible, Equatable {
    case invalidArgument, runtimeFailure, compilation
    public var description: String { "LiteRT: \(self == .compilation ? "Compilation error" : "Runtime failure")" }
}

public enum Accelerator: Int32 {
    case none = 0
    case cpu = 1
    case gpu = 2
    case npu = 4
}

public final class Environment {
    public enum Option { case minLoggerSeverity(Int64) }
    public init(options: [Option] = []) throws {}
}

public final class Options {
    var accelerators: Set<Accelerator> = []
    public init() throws {}
    public func setHardwareAccelerators(_ accelerators: Set<Accelerator>) throws { self.accelerators = accelerators }
}

public final class CompiledModel {
    let model: OpaquePointer
    let interpreter: OpaquePointer
    let onCPU: Bool

    public init(filePath: String, environment: Environment, options: Options? = nil) throws {
        onCPU = options?.accelerators == [.cpu]
        guard let model = TfLiteModelCreateFromFile(filePath) else { throw LiteRtError.runtimeFailure }
        guard let interpreter = TfLiteInterpreterCreate(model, nil),
            TfLiteInterpreterAllocateTensors(interpreter) == kTfLiteOk
        else { throw LiteRtError.compilation }
        (self.model, self.interpreter) = (model, interpreter)
    }

    deinit {
        TfLiteInterpreterDelete(interpreter)
        TfLiteModelDelete(model)
    }

    public func isFullyAccelerated() throws -> Bool { onCPU }

    public func createInputBuffers(signatureIndex: Int = 0) throws -> [TensorBuffer] {
        try [TensorBuffer(TfLiteInterpreterGetInputTensor(interpreter, 0))]
    }

    public func createOutputBuffers(signatureIndex: Int = 0) throws -> [TensorBuffer] {
        try [TensorBuffer(TfLiteInterpreterGetOutputTensor(interpreter, 0))]
    }

    public func run(
        inputs: [TensorBuffer], outputs: [TensorBuffer], options: Options? = nil, signatureIndex: Int = 0
    ) throws {
        let input = TfLiteInterpreterGetInputTensor(interpreter, 0)
        let status = inputs[0].bytes.withUnsafeBytes { TfLiteTensorCopyFromBuffer(input, $0.baseAddress, $0.count) }
        guard status == kTfLiteOk, TfLiteInterpreterInvoke(interpreter) == kTfLiteOk else {
            throw LiteRtError.runtimeFailure
        }
        let output = TfLiteInterpreterGetOutputTensor(interpreter, 0)
        _ = outputs[0].bytes.withUnsafeMutableBytes { TfLiteTensorCopyToBuffer(output, $0.baseAddress, $0.count) }
    }
}

public final class TensorBuffer {
    var bytes: [UInt8]
    init(_ tensor: OpaquePointer?) throws {
        bytes = [UInt8](repeating: 0, count: TfLiteTensorByteSize(tensor))
    }

    public func write<T>(_ data: [T]) throws {
        try data.withUnsafeBytes {
            guard $0.count == bytes.count else { throw LiteRtError.invalidArgument }
            bytes = Array($0)
        }
    }

    public func read<T>() throws -> [T] {
        bytes.withUnsafeBytes { Array($0.bindMemory(to: T.self)) }
    }
}
""",
    "Sources/CTensorFlowLite/include/module.modulemap": """module CTensorFlowLite {
    header "tensorflow/lite/c/c_api.h"
    export *
}
""",
    "Sources/CTensorFlowLite/empty.c": """#include "tensorflow/lite/c/c_api.h"
""",
    "Sources/LiteRtMetalAccelerator/Empty.swift": """// Nothing: it links the doubles of Apple's frameworks.
""",
    "Sources/CoreGraphics/CoreGraphics.swift": """@_exported import Foundation

public typealias CFData = NSData
public typealias CFString = NSString
public typealias CFDictionary = NSDictionary

public enum CGColorSpaceModel: Int32 { case unknown = -1, monochrome, rgb, cmyk, lab, deviceN, indexed, pattern }

public final class CGColorSpace {
    public static var sRGB: CFString { "kCGColorSpaceSRGB" }
    public var model: CGColorSpaceModel { .rgb }
    public var baseColorSpace: CGColorSpace? { nil }
    public var supportsOutput: Bool { true }
    public init?(name: CFString) {}
}

public enum CGImageAlphaInfo: UInt32 {
    case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst, alphaOnly
}

public final class CGImage {
    public let width: Int
    public let height: Int
    public var colorSpace: CGColorSpace? { CGColorSpace(name: CGColorSpace.sRGB) }
    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }
}

public enum CGInterpolationQuality: Int32 { case `default`, none, low, high, medium }

public final class CGContext {
    public var interpolationQuality = CGInterpolationQuality.default
    public init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int, bytesPerRow: Int,
        space: CGColorSpace, bitmapInfo: UInt32
    ) { return nil }
    public func draw(_ image: CGImage, in rect: CGRect, byTiling: Bool = false) {}
}
""",
    "Sources/CoreVideo/CoreVideo.swift": """import CoreGraphics

public typealias OSType = UInt32
public typealias CVReturn = Int32
public let kCVPixelFormatType_32BGRA: OSType = 0x4247_5241
public struct CVPixelBufferLockFlags: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let readOnly = CVPixelBufferLockFlags(rawValue: 1)
}

public final class CVPixelBuffer {
    let format: OSType
    let width: Int
    let height: Int
    let bytesPerRow: Int
    let memory: UnsafeMutableRawPointer
    public init(format: OSType, width: Int, height: Int, bytesPerRow: Int, bytes: [UInt8]) {
        (self.format, self.width, self.height, self.bytesPerRow) = (format, width, height, bytesPerRow)
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyMemory(from: bytes, byteCount: bytes.count)
    }
    deinit { memory.deallocate() }
}

public func CVPixelBufferCreate(
    _ allocator: AnyObject?, _ width: Int, _ height: Int, _ format: OSType, _ attributes: CFDictionary?,
    _ out: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
    let (row, count) = (width * 4 + 16, (width * 4 + 16) * height)
    out.pointee = CVPixelBuffer(
        format: format, width: width, height: height, bytesPerRow: row, bytes: [UInt8](repeating: 0, count: count))
    return 0
}

public func CVPixelBufferGetPixelFormatType(_ buffer: CVPixelBuffer) -> OSType { buffer.format }
public func CVPixelBufferGetWidth(_ buffer: CVPixelBuffer) -> Int { buffer.width }
public func CVPixelBufferGetHeight(_ buffer: CVPixelBuffer) -> Int { buffer.height }
public func CVPixelBufferGetBytesPerRow(_ buffer: CVPixelBuffer) -> Int { buffer.bytesPerRow }
public func CVPixelBufferGetBaseAddress(_ buffer: CVPixelBuffer) -> UnsafeMutableRawPointer? { buffer.memory }
@discardableResult
public func CVPixelBufferLockBaseAddress(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) -> CVReturn { 0 }
@discardableResult
public func CVPixelBufferUnlockBaseAddress(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) -> CVReturn { 0 }
""",
    "Sources/ImageIO/ImageIO.swift": """import CoreGraphics

public enum CGImagePropertyOrientation: UInt32, Sendable {
    case up = 1
    case upMirrored, down, downMirrored, leftMirrored, right, rightMirrored, left
}

public final class CGImageSource {}
nonisolated(unsafe) public let kCGImagePropertyOrientation: CFString = "Orientation"
public func CGImageSourceCreateWithData(_ data: CFData, _ options: CFDictionary?) -> CGImageSource? { nil }
public func CGImageSourceCreateImageAtIndex(
    _ source: CGImageSource, _ index: Int, _ options: CFDictionary?
) -> CGImage? { nil }
public func CGImageSourceCopyPropertiesAtIndex(
    _ source: CGImageSource, _ index: Int, _ options: CFDictionary?
) -> CFDictionary? { nil }
""",
    "Sources/VideoToolbox/VideoToolbox.swift": """import CoreGraphics
import CoreVideo

public typealias OSStatus = Int32
public func VTCreateCGImageFromCVPixelBuffer(
    _ buffer: CVPixelBuffer, options: CFDictionary?, imageOut: UnsafeMutablePointer<CGImage?>
) -> OSStatus { -12780 }
""",
    "Sources/CoreML/CoreML.swift": """import CoreVideo
import Foundation

public struct MLModelError: Error, CustomStringConvertible { public let description = "no Core ML here" }

public protocol MLFeatureProvider {
    func featureValue(for name: String) -> MLFeatureValue?
}

public final class MLMultiArray {
    public var count: Int { 0 }
    public subscript(index: Int) -> NSNumber { NSNumber(value: index) }
}

public final class MLFeatureValue {
    public init(pixelBuffer: CVPixelBuffer) {}
    public var multiArrayValue: MLMultiArray? { nil }
}

public final class MLDictionaryFeatureProvider: MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
    public func featureValue(for name: String) -> MLFeatureValue? { nil }
}

public final class MLModel {
    public init(contentsOf url: URL) throws {}
    public class func compileModel(at url: URL) throws -> URL { throw MLModelError() }
    public func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider { throw MLModelError() }
}
""",
    "Sources/UIKit/UIKit.swift": """import CoreGraphics

public final class UIImage {
    public enum Orientation: Int { case up, down, left, right, upMirrored, downMirrored, leftMirrored, rightMirrored }
    public let cgImage: CGImage?
    public let imageOrientation: Orientation
    public init(cgImage: CGImage?, orientation: Orientation) {
        (self.cgImage, self.imageOrientation) = (cgImage, orientation)
    }
}
""",
}
