import { Controller, Get, Module } from '@nestjs/common';
import { CurrentUser, PassageModule, type PassageUser } from '@passage-auth/nestjs';

@Controller('me')
class MeController {
  @Get()
  me(@CurrentUser() user: PassageUser) {
    return user;
  }
}

@Module({ imports: [PassageModule.forRoot({ global: true })], controllers: [MeController] })
export class AppModule {}
