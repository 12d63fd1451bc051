#!/bin/sh
# Android's getprop on a loopback phone: all properties, or one by its name, or a default for it.
file=/run/pocketnas/properties
[ $# -eq 0 ] && exec cat "$file"
while IFS= read -r line; do
  case $line in
    "[$1]: ["*)
      value=${line#*"]: ["}
      printf '%s\n' "${value%]}"
      exit 0
      ;;
  esac
done <"$file"
printf '%s\n' "${2-}"
