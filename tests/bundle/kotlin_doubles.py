"""Doubles of the few classes that an Android bundle calls, by their signatures, for a compiler without Android.

The signatures are LiteRT's, MediaPipe's, TensorFlow Lite's, CameraX's, Android's and JUnit's own. The doubles of what
runs a model refuse all but the CPU and answer what the first pixels were; pictures are read by Java.
"""

DOUBLES = {
    "AssetManager.kt": """package android.content.res
class AssetManager(private val folder: java.io.File) {
    fun open(name: String): java.io.InputStream = java.io.File(folder, name).inputStream()
    fun openFd(name: String): AssetFileDescriptor = AssetFileDescriptor(open(name).use { it.readBytes() })
}
/** An asset in the middle of an app, as a file that is stored lies. */
class AssetFileDescriptor(asset: ByteArray) : java.io.Closeable {
    private val app = java.io.File.createTempFile("app", ".apk")
    val startOffset = 4108L
    val declaredLength = asset.size.toLong()
    private val file: java.io.RandomAccessFile
    init {
        app.deleteOnExit()
        app.writeBytes(ByteArray(startOffset.toInt()) + asset + ByteArray(99))
        file = java.io.RandomAccessFile(app, "r")
    }
    val fileDescriptor: java.io.FileDescriptor get() = file.fd
    override fun close() = file.close()
}
""",
    "Context.kt": """package android.content
class Context(val assets: android.content.res.AssetManager)
""",
    "Bitmap.kt": """package android.graphics
class Bitmap(val width: Int, val height: Int, private val argb: IntArray, val config: Config?) {
    enum class Config { ARGB_8888, HARDWARE }
    fun copy(config: Config, isMutable: Boolean): Bitmap? = Bitmap(width, height, argb, config)
    fun recycle() {}
    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        check(config != Config.HARDWARE && offset == 0 && stride == width && x == 0 && y == 0 && height == this.height)
        argb.copyInto(pixels)
    }
    companion object {
        @JvmStatic fun createBitmap(colors: IntArray, width: Int, height: Int, config: Config): Bitmap =
            Bitmap(width, height, colors, config)
    }
}
""",
    "BitmapFactory.kt": """package android.graphics
object BitmapFactory {
    @JvmStatic
    fun decodeStream(stream: java.io.InputStream): Bitmap? {
        val image = javax.imageio.ImageIO.read(stream)
        val argb = image.getRGB(0, 0, image.width, image.height, null, 0, image.width)
        return Bitmap(image.width, image.height, argb, Bitmap.Config.ARGB_8888)
    }
}
""",
    "CameraX.kt": """package androidx.camera.core
interface ImageInfo { val rotationDegrees: Int }
interface ImageProxy : AutoCloseable {
    val imageInfo: ImageInfo
    fun toBitmap(): android.graphics.Bitmap
}
""",
    "JUnit.kt": """package org.junit
annotation class Test
object Assert {
    @JvmStatic fun assertTrue(message: String, condition: Boolean) { if (!condition) throw AssertionError(message) }
    @JvmStatic fun assertEquals(message: String, expected: Any?, actual: Any?) =
        assertTrue("$message: $expected != $actual", expected == actual)
}
""",
    "Runner.kt": """package org.junit.runner
annotation class RunWith(val value: kotlin.reflect.KClass<*>)
""",
    "AndroidJUnit4.kt": """package androidx.test.ext.junit.runners
class AndroidJUnit4
""",
    "Instrumentation.kt": """package androidx.test.platform.app
abstract class Instrumentation { abstract val context: android.content.Context }
object InstrumentationRegistry {
    @JvmStatic fun getInstrumentation(): Instrumentation = error("no phone")
}
""",
}

API_DOUBLES = {
    "litert": {
        "LiteRt.kt": """package com.google.ai.edge.litert
enum class Accelerator { NONE, CPU, GPU, NPU }
class LiteRtException(message: String) : Exception(message)
class TensorBuffer : AutoCloseable {
    var bytes = ByteArray(0)
    var floats = FloatArray(0)
    fun writeFloat(data: FloatArray) { floats = data }
    fun writeInt8(data: ByteArray) { bytes = data }
    fun readFloat(): FloatArray = floats
    fun readInt8(): ByteArray = bytes
    override fun close() {}
}
class CompiledModel private constructor() : AutoCloseable {
    class Options(vararg val accelerators: Accelerator)
    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = listOf(TensorBuffer())
    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = listOf(TensorBuffer())
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0) {
        outputs[0].bytes = inputs[0].bytes.take(10).toByteArray()
        outputs[0].floats = inputs[0].floats.take(10).toFloatArray()
    }
    override fun close() {}
    companion object {
        @JvmStatic
        fun create(
            assetManager: android.content.res.AssetManager, assetName: String, options: Options,
        ): CompiledModel {
            assetManager.open(assetName).close()
            if (options.accelerators[0] != Accelerator.CPU) throw LiteRtException("no ${options.accelerators[0]} here")
            return CompiledModel()
        }
    }
}
""",
    },
    "mediapipe": {
        "MediaPipeException.kt": """package com.google.mediapipe.framework
class MediaPipeException(statusCode: Int, statusMessage: String) : RuntimeException("$statusCode: $statusMessage")
""",
        "Image.kt": """package com.google.mediapipe.framework.image
import android.graphics.Bitmap
class MPImage internal constructor(val bitmap: Bitmap) : java.io.Closeable { override fun close() {} }
class BitmapImageBuilder(private val bitmap: Bitmap) { fun build(): MPImage = MPImage(bitmap) }
""",
        "Core.kt": """package com.google.mediapipe.tasks.core
enum class Delegate { CPU, GPU }
class BaseOptions private constructor(val path: String, val delegate: Delegate) {
    class Builder {
        private var path = ""
        private var delegate = Delegate.CPU
        fun setModelAssetPath(value: String): Builder = apply { path = value }
        fun setDelegate(delegate: Delegate): Builder = apply { this.delegate = delegate }
        fun build(): BaseOptions = BaseOptions(path, delegate)
    }
    companion object { @JvmStatic fun builder(): Builder = Builder() }
}
""",
        "RunningMode.kt": """package com.google.mediapipe.tasks.vision.core
enum class RunningMode { IMAGE, VIDEO, LIVE_STREAM }
""",
        "Containers.kt": """package com.google.mediapipe.tasks.components.containers
class Category(private val score: Float, private val index: Int) {
    fun score(): Float = score
    fun index(): Int = index
}
class Classifications(private val categories: List<Category>) { fun categories(): List<Category> = categories }
class ClassificationResult(private val classifications: List<Classifications>) {
    fun classifications(): List<Classifications> = classifications
}
""",
        "ImageClassifier.kt": """package com.google.mediapipe.tasks.vision.imageclassifier
import android.content.Context
import com.google.mediapipe.framework.MediaPipeException
import com.google.mediapipe.framework.image.MPImage
import com.google.mediapipe.tasks.components.containers.*
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.core.Delegate
import com.google.mediapipe.tasks.vision.core.RunningMode
class ImageClassifierResult(private val result: ClassificationResult) {
    fun classificationResult(): ClassificationResult = result
}
class ImageClassifier private constructor(private val options: ImageClassifierOptions) : AutoCloseable {
    /** The best first; the GPU fails with the first picture, as it may. */
    fun classify(image: MPImage): ImageClassifierResult {
        if (options.base.delegate == Delegate.GPU) throw MediaPipeException(13, "no GPU here")
        val bitmap = image.bitmap
        val argb = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val levels = (0 until 10).map { (argb[it / 3] ushr (16 - 8 * (it % 3)) and 255).toFloat() }
        val categories = levels.mapIndexed { index, level -> Category(level, index) }.sortedByDescending { it.score() }
        val kept = categories.filter { it.score() >= options.threshold }
        return ImageClassifierResult(ClassificationResult(listOf(Classifications(kept))))
    }
    /** What failed fails again, as the real one does that has no listener for errors. */
    override fun close() {
        println("closed ${options.base.delegate}")
        if (options.base.delegate == Delegate.GPU) throw MediaPipeException(13, "no GPU here")
    }
    class ImageClassifierOptions private constructor(val base: BaseOptions, val threshold: Float) {
        class Builder {
            private var base = BaseOptions.builder().build()
            private var threshold = 150f // as if the model's metadata said so
            fun setBaseOptions(baseOptions: BaseOptions): Builder = apply { base = baseOptions }
            fun setRunningMode(runningMode: RunningMode): Builder = apply { check(runningMode == RunningMode.IMAGE) }
            fun setScoreThreshold(scoreThreshold: Float): Builder = apply { threshold = scoreThreshold }
            fun build(): ImageClassifierOptions = ImageClassifierOptions(base, threshold)
        }
        companion object { @JvmStatic fun builder(): Builder = Builder() }
    }
    companion object {
        @JvmStatic fun createFromOptions(context: Context, options: ImageClassifierOptions): ImageClassifier {
            context.assets.open(options.base.path).close()
            return ImageClassifier(options)
        }
    }
}
""",
    },
    "tflite": {
        "Interpreter.kt": """package org.tensorflow.lite
import java.nio.ByteBuffer
import java.nio.ByteOrder
interface Delegate : java.io.Closeable { override fun close() {} }
/** Feeds on a buffer where the real one does: at its beginning; leaves the other behind what it wrote. */
class Interpreter(byteBuffer: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        internal val delegates = mutableListOf<Delegate>()
        fun addDelegate(delegate: Delegate): Options = apply { delegates += delegate }
    }
    private val thread = Thread.currentThread()
    init {
        require(String(ByteArray(4) { byteBuffer.get(4 + it) }) == "TFL3") { "not a model" }
        require(options.delegates.isEmpty()) { "Internal error: Failed to apply delegate" }
    }
    fun run(input: Any, output: Any) {
        check(Thread.currentThread() == thread) { "another thread" }
        val (fed, answer) = listOf(input, output).map { it as ByteBuffer }
        check(fed.isDirect && fed.order() == ByteOrder.nativeOrder() && answer.order() == ByteOrder.nativeOrder())
        check(answer.position() == 0 && fed.capacity() % 3 == 0)
        answer.put(fed.duplicate().apply { rewind(); limit(answer.capacity()) })
    }
    override fun close() = println("closed ${Thread.currentThread() == thread}")
}
""",
        "Gpu.kt": """package org.tensorflow.lite.gpu
import org.tensorflow.lite.Delegate
class GpuDelegateFactory { class Options }
class GpuDelegate(options: GpuDelegateFactory.Options) : Delegate { init { error("$options on a GPU not listed") } }
class CompatibilityList : java.io.Closeable {
    val isDelegateSupportedOnThisDevice: Boolean get() = false
    val bestOptionsForThisDevice: GpuDelegateFactory.Options get() = GpuDelegateFactory.Options()
    override fun close() {}
}
""",
        "NnApi.kt": """package org.tensorflow.lite.nnapi
import org.tensorflow.lite.Delegate
class NnApiDelegate : Delegate { override fun close() = println("closed NNAPI") }
""",
    },
}
