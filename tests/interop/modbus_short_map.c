/* A Modbus TCP server made with libmodbus: 33 coils, 50 holding and 50 input registers, unit 1.

   Whatever reaches beyond is refused by libmodbus itself (exception 02). Register n holds 1000 + n,
   coils are off. Prints "ready PORT", serves one connection after another, and ends by itself. */

#include <arpa/inet.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIFE_S 50

int main(void) {
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(33, 0, 50, 50);
    if (context == NULL || map == NULL)
        return 1;
    for (int i = 0; i < 50; i++)
        map->tab_registers[i] = map->tab_input_registers[i] = 1000 + i;
    int listener = modbus_tcp_listen(context, 1);
    if (listener < 0)
        return 1;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    alarm(LIFE_S);
    for (;;) {
        if (modbus_tcp_accept(context, &listener) < 0)
            return 1;
        uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
        int length;
        while ((length = modbus_receive(context, query)) >= 0)
            if (length > 0 && modbus_reply(context, query, length, map) < 0)
                break;
        modbus_close(context);
    }
}
