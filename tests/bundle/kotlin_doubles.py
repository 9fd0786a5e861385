"""Doubles of the few classes that an Android bundle calls, by their signatures, for a compiler without Android.

The signatures are LiteRT's, CameraX's, Android's and JUnit's own. LiteRT's double refuses the GPU and answers what the
first pixels were; pictures are read by Java.
"""

DOUBLES = {
    "AssetManager.kt": """package android.content.res
class AssetManager(private val folder: java.io.File) {
    fun open(name: String): java.io.InputStream = java.io.File(folder, name).inputStream()
}
""",
    "Context.kt": """package android.content
abstract class Context { abstract val assets: android.content.res.AssetManager }
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
