"""The files of a Raspberry Pi 4 and of a Jetson that the environment record is read from, as a folder to read below."""

from pathlib import Path

PI_4 = {
    "sys/firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "sys/firmware/devicetree/base/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/cpuinfo": "".join(
        f"processor\t: {core}\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n" for core in range(4)
    ),
    "proc/meminfo": "MemTotal:        3884340 kB\nMemAvailable:    3204100 kB\n",
    "proc/loadavg": "0.52 0.58 0.59 1/189 2041\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1800000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48199\n",
    "sys/bus/usb/devices/2-1/speed": "5000\n",
    "sys/bus/usb/devices/2-1/product": "Coral\n",
    "sys/bus/usb/devices/usb2/speed": "5000\n",
}  # fmt: skip
# INA3221 of a Jetson: millivolts and milliamperes of the same channel; VDD_IN is the whole board.
JETSON = {
    "sys/firmware/devicetree/base/model": "NVIDIA Jetson Orin Nano\0",
    "proc/cpuinfo": "processor\t: 0\nCPU part\t: 0xd42\n",
    "sys/class/hwmon/hwmon3/name": "ina3221\n",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon3/in1_input": "5064\n",
    "sys/class/hwmon/hwmon3/curr1_input": "1000\n",
    "sys/class/hwmon/hwmon3/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/class/hwmon/hwmon3/in2_input": "5056\n",
    "sys/class/hwmon/hwmon3/curr2_input": "300\n",
    "sys/class/hwmon/hwmon3/in4_label": "Sum of shunt voltages\n",
    "sys/class/hwmon/hwmon3/in4_input": "8\n",
}


def board(root: Path, files: dict[str, str]) -> Path:
    """Write the files below `root` and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
