    /** SIZE x SIZE x CHANNELS numbers, row by row, the channels of a pixel side by side. */
    private fun prepare(picture: Bitmap): FloatArray {
        val scaled = Bitmap.createScaledBitmap(@PICTURE@, SIZE, SIZE, true)
        val pixels = IntArray(SIZE * SIZE)
        scaled.getPixels(pixels, 0, SIZE, 0, 0, SIZE, SIZE)
        return FloatArray(SIZE * SIZE * CHANNELS) { index ->
            val colour = if (COLOURS == 1) 0 else index % CHANNELS
            (intensity(pixels[index / CHANNELS], colour) / 255f - MEAN[colour]) / STD[colour]
        }
    }

@MIDDLE@@PADDED@@ROUNDED@    private fun intensity(pixel: Int, colour: Int): Float = when {
        COLOURS == 1 -> 0.299f * Color.red(pixel) + 0.587f * Color.green(pixel) + 0.114f * Color.blue(pixel)
        colour == 0 -> Color.red(pixel).toFloat()
        colour == 1 -> Color.green(pixel).toFloat()
        else -> Color.blue(pixel).toFloat()
    }

